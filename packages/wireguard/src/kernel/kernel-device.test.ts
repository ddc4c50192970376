import { randomBytes } from "node:crypto";
import { chmodSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { HealthTable, silentLogger } from "@warren/kernel";
import { missingForGuest, runInGuest, tempFolder, VirtualClock } from "@warren/testkit";
import { afterEach, describe, expect, it, vi } from "vitest";
import { errors as errno, SystemCallError } from "../linux/libc.ts";
import { kernelHasWireguard, missingForNamespaces, NetworkLab } from "../network-lab.testing.ts";
import { endpointOf } from "../protocol/endpoint.ts";
import { KernelDevice } from "./kernel-device.ts";
import type { KernelInterface } from "./kernel-interface.ts";
import type { PeerChange } from "./wireguard-messages.ts";

const missing = missingForNamespaces();
const scenes = 18;

/** The device over a kernel that notes what it is told, on a host whose `nft` refuses every rule. */
function overKernel() {
	const folder = tempFolder("kernel-device");
	writeFileSync(folder.file("nft"), "#!/bin/sh\ngrep -q jump && { echo no room >&2; exit 1; } || exit 0\n");
	chmodSync(folder.file("nft"), 0o755);
	vi.stubEnv("PATH", `${folder.path}:/usr/bin:/bin`);
	const clock = new VirtualClock();
	const health = new HealthTable(clock);
	const errors: string[] = [];
	const { promise: complaint, resolve: complain } = Promise.withResolvers<void>();
	const logger = {
		...silentLogger,
		error: (text: string) => {
			errors.push(text);
			complain();
		},
	};
	const peers = new Set<string>();
	const endpoints = new Map<string, string>();
	const kernel = {
		...{ name: "wg0", listenPort: 51820, publicKey: new Uint8Array(32).fill(9), interfaceMtu: 1420, isGone: false },
		hasMemory: true,
		wireguard: {
			setPeer: (_name: string, { publicKey, endpoint }: PeerChange) => {
				if (!kernel.hasMemory) throw new SystemCallError("configuring a peer", errno.ENOBUFS);
				peers.add(hexOf(publicKey));
				if (endpoint !== undefined) endpoints.set(hexOf(publicKey), endpoint.address);
			},
			removePeer: (_name: string, publicKey: Uint8Array) => {
				if (!kernel.hasMemory) throw new SystemCallError("removing a peer", errno.ENOBUFS);
				peers.delete(hexOf(publicKey));
			},
			read: () => (kernel.isGone ? null : { listenPort: 51820, publicKey: null, peers: [] }),
		},
		lanes: {
			start() {},
			open: () => ({ endpoint: endpointOf("127.64.0.1", 4000), toKernel() {}, close() {} }),
		},
		...{ others: { start() {} }, mtu: { set() {}, clear() {} }, close() {} },
	};
	const device = new KernelDevice({ clock, logger, health }, kernel as unknown as KernelInterface, {
		timestampFile: null,
		mayLeave: false,
	});
	const unfit: string[] = [];
	device.onUnfit((reason) => unfit.push(reason));
	return { folder, clock, health, errors, complaint, peers, endpoints, kernel, device, unfit };
}

const hexOf = (bytes: Uint8Array) => Buffer.from(bytes).toString("hex");
const one = new Uint8Array(32).fill(1);
const two = new Uint8Array(32).fill(2);

describe("a device over the kernel's WireGuard", () => {
	afterEach(() => vi.unstubAllEnvs());

	it("lets a peer go at once while its rules are refused, and lets nobody in", async () => {
		const { folder, health, complaint, peers, device } = overKernel();
		using _folder = folder;
		device.setPeer({ publicKey: one, allowedIps: ["fd09::1/128"] });
		device.setRules([{ direction: "in", addresses: ["fd09::2/128"] }]);
		device.setPeer({ publicKey: two, allowedIps: ["fd09::2/128"] });
		await complaint;
		expect(health.list()).toMatchObject([{ code: "overlay-rules-refused" }]);
		device.removePeer(one);
		expect([...peers]).toEqual([]);
		device.removePeer(two);
		device.setRules(null);
		await new Promise<void>((resolve) => {
			health.watch(() => resolve());
		});
		await device.status();
		expect([...peers], "who was let go before he was let in").toEqual([]);
		await device.close();
	});

	it("asks a kernel that refuses to let a peer go until it does, unless the peer was let in again", async () => {
		const { folder, clock, errors, peers, kernel, device } = overKernel();
		using _folder = folder;
		const three = new Uint8Array(32).fill(3);
		for (const publicKey of [one, two, three]) device.setPeer({ publicKey, allowedIps: [`fd09::${publicKey[0]}/128`] });
		kernel.hasMemory = false;
		device.removePeer(one);
		device.removePeer(two);
		await clock.advance(3_000);
		expect([...peers]).toEqual([one, two, three].map(hexOf));
		expect(new Set(errors)).toEqual(new Set(["overlay: the kernel refuses"]));
		device.setPeer({ publicKey: two, allowedIps: ["fd09::2/128"] });
		kernel.hasMemory = true;
		await clock.advance(1_000);
		expect([...peers]).toEqual([two, three].map(hexOf));
		const refusals = errors.length;
		await clock.advance(60_000);
		expect(errors.length).toBe(refusals);
		await device.close();
	});

	it("asks a kernel that refuses a peer until it takes him, as he is wanted last, unless he was let go", async () => {
		const { folder, clock, errors, peers, endpoints, kernel, device } = overKernel();
		using _folder = folder;
		kernel.hasMemory = false;
		for (const publicKey of [one, two]) device.setPeer({ publicKey, allowedIps: [`fd09::${publicKey[0]}/128`] });
		device.setPeer({
			...{ publicKey: one, allowedIps: ["fd09::1/128"] },
			endpoint: { address: "192.0.2.1", port: 51820 },
		});
		device.removePeer(two);
		await clock.advance(3_000);
		expect([...peers]).toEqual([]);
		kernel.hasMemory = true;
		await clock.advance(1_000);
		expect([...peers]).toEqual([hexOf(one)]);
		expect(endpoints.get(hexOf(one))).toBe("192.0.2.1");
		const refusals = errors.length;
		expect(refusals).toBeGreaterThan(0);
		await clock.advance(60_000);
		expect(errors.length).toBe(refusals);
		await device.close();
	});

	it("says once that somebody has removed its interface, and asks no more", async () => {
		const { folder, clock, health, errors, kernel, device, unfit } = overKernel();
		using _folder = folder;
		await clock.advance(3_000);
		expect(errors).toEqual([]);
		kernel.isGone = true;
		await clock.advance(60_000);
		expect(errors).toEqual(["overlay: the data plane died"]);
		expect(health.list()).toMatchObject([{ code: "overlay-data-plane-dead" }]);
		expect(unfit).toEqual(["its data plane died: somebody removed the interface wg0"]);
		await expect(device.status()).rejects.toThrow(/is gone/);
		await device.close();
	});
});

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
