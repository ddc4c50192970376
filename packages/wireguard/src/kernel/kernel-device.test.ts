import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { missingForGuest, runInGuest } from "@warren/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { kernelHasWireguard, missingForNamespaces, NetworkLab } from "../network-lab.testing.ts";

const missing = missingForNamespaces();
const scenes = 18;

describe("the kernel's own WireGuard", () => {
	let net: NetworkLab | undefined;
	afterEach(async () => {
		await net?.close();
		net = undefined;
	});

	it("is refused by name where there is none, and auto goes on with the next one, which is no fault", async (context) => {
		context.skip(missing !== null, missing ?? "");
		context.skip(kernelHasWireguard(), "this host's kernel has it");
		net = new NetworkLab();
		const host = net.host("a");
		const privateKey = Uint8Array.from(randomBytes(32));
		await expect(net.device(host, { privateKey, dataPlane: "kernel" })).rejects.toThrow(/has no WireGuard module/);
		const device = await net.device(host, { privateKey, dataPlane: "auto" });
		expect(await device.status()).toMatchObject({ dataPlane: "offload", fallback: null });
		expect(await device.call("health")).toEqual([]);
	});

	it("does all that the overlay asks of a device, beside the offload plane", {
		timeout: 3_600_000,
	}, async (context) => {
		context.skip(process.env["WARREN_LONG_TESTS"] !== "1", "a machine is emulated; WARREN_LONG_TESTS=1 runs it");
		const lacks = missingForGuest();
		context.skip(lacks !== null, lacks ?? "");
		const lines = await runInGuest({
			script: join(import.meta.dirname, "guest-process.testing.ts"),
			packages: ["packages/wireguard"],
		});
		const told = lines.flatMap((line) =>
			line.startsWith("scene: ") ? [JSON.parse(line.slice(7)) as { title: string; fault: string | null }] : [],
		);
		expect(told.filter(({ fault }) => fault !== null)).toEqual([]);
		expect(told.length).toBe(scenes);
	});
});
