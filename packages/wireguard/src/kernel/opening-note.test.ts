import { randomBytes } from "node:crypto";
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { kernelHasWireguard, type LabDevice, missingForNamespaces, NetworkLab } from "../network-lab.testing.ts";

const missing = missingForNamespaces();
const privateKey = Uint8Array.from(randomBytes(32));

describe("a process that ends while it opens the kernel's plane", { timeout: 120_000 }, () => {
	let net: NetworkLab;
	let folder: string;
	let file: string;
	let host: string;

	beforeEach((context) => {
		if (missing !== null) context.skip(true, missing);
		if (kernelHasWireguard()) context.skip(true, "this host's kernel has WireGuard");
		folder = mkdtempSync(join(tmpdir(), "warren-opening-"));
		file = join(folder, "device.opening");
		net = new NetworkLab();
		host = net.host("a");
	});
	afterEach(async () => {
		await net?.close();
		if (folder !== undefined) rmSync(folder, { recursive: true, force: true });
	});

	const open = (options: {
		dataPlane: "auto" | "kernel" | "offload";
		software?: string;
		kills?: boolean;
		file?: string;
	}) =>
		net.device(host, {
			...{ privateKey, dataPlane: options.dataPlane },
			openingNote: { file: options.file ?? file, software: options.software ?? "warren 1" },
			...(options.kills === true ? { refuses: "netlink-kills" as const } : {}),
		});

	/** What the next start finds of it. */
	async function endsWhileOpening(): Promise<void> {
		await expect(open({ dataPlane: "auto", kills: true })).rejects.toThrow(/ended \(SIGKILL\)/);
		expect(existsSync(file)).toBe(true);
	}

	const conditions = (device: LabDevice) => device.call<{ code: string; title: string; advice: string }[]>("health");

	it("is noted before, readable by its owner alone, and the next start takes offload and says why", async () => {
		await endsWhileOpening();
		expect(statSync(file).mode & 0o777).toBe(0o600);
		for (let start = 0; start < 2; start++) {
			const device = await open({ dataPlane: "auto" });
			const status = await device.status();
			expect(status).toMatchObject({ dataPlane: "offload" });
			expect(status.fallback).toMatch(/^process \d+ ended while it opened it, 20\d\d-\S+Z$/);
			expect(await conditions(device)).toMatchObject([
				{
					code: "overlay-kernel-plane-set-aside",
					title: expect.stringMatching(/set aside on wg0: process \d+ ended .* The offload data plane serves\./),
					advice: expect.stringContaining(file),
				},
			]);
			await device.stop();
			expect(existsSync(file)).toBe(true);
		}
	});

	it("is told apart from one before the machine was started last", async () => {
		await endsWhileOpening();
		writeFileSync(file, readFileSync(file, "utf8").replace(/ \S{36} /, " 00000000-0000-4000-8000-000000000000 "));
		const device = await open({ dataPlane: "auto" });
		expect((await device.status()).fallback).toMatch(/Z, before this machine was started last$/);
	});

	it("is forgotten once the plane was asked for and answered, if only by a refusal", async () => {
		await endsWhileOpening();
		await expect(open({ dataPlane: "kernel" })).rejects.toThrow(/has no WireGuard module/);
		expect(existsSync(file)).toBe(false);
		const device = await open({ dataPlane: "auto" });
		expect(await device.status()).toMatchObject({ dataPlane: "offload", fallback: null });
		expect(await conditions(device)).toEqual([]);
	});

	it.each([
		["another version of the program", (text: string) => text, "warren 2"],
		["another kernel", (text: string) => text.replace(/^kernel .*$/m, "kernel 5.10.0-1-amd64"), "warren 1"],
		["a file that is not whole", (text: string) => text.slice(0, 20), "warren 1"],
		["a file of somebody else", () => "\u0000".repeat(100), "warren 1"],
	])("is no reason for %s: it is tried anew", async (_title, change, software) => {
		await endsWhileOpening();
		writeFileSync(file, change(readFileSync(file, "utf8")));
		const device = await open({ dataPlane: "auto", software });
		expect(await device.status()).toMatchObject({ dataPlane: "offload", fallback: null });
		expect(existsSync(file)).toBe(false);
	});

	it("must be able to be noted: where it cannot, the plane is not opened, and that is told", async () => {
		const device = await open({ dataPlane: "auto", kills: true, file: join(folder, "gone", "device.opening") });
		const { dataPlane, fallback } = await device.status();
		expect(dataPlane).toBe("offload");
		expect(fallback).toMatch(/cannot be noted: ENOENT/);
		expect(await conditions(device)).toMatchObject([{ code: "overlay-slow-data-plane" }]);
		await expect(open({ dataPlane: "kernel", file: join(folder, "gone", "device.opening") })).rejects.toThrow(
			/cannot be noted: ENOENT/,
		);
	});

	it("leaves nothing behind, and is not asked about, where another plane is chosen", async () => {
		await endsWhileOpening();
		const device = await open({ dataPlane: "offload", kills: true });
		expect(await device.status()).toMatchObject({ dataPlane: "offload", fallback: null });
		expect(await conditions(device)).toEqual([]);
		expect(existsSync(file)).toBe(true);
	});
});
