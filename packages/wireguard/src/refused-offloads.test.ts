import { randomBytes } from "node:crypto";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { nodePrimitives as p } from "./crypto/node-primitives.ts";
import { type LabDevice, missingForNamespaces, NetworkLab } from "./network-lab.testing.ts";
import type { Refusal } from "./refusing-libc.testing.ts";

const missing = missingForNamespaces();
const transfer = join(import.meta.dirname, "tcp-transfer-process.testing.ts");
const keyA = Uint8Array.from(randomBytes(32));
const keyB = Uint8Array.from(randomBytes(32));

/** Each offload that a host may refuse, by itself, at one end of a tunnel whose other end has them all. */
describe("an offload that the host refuses", { timeout: 120_000 }, () => {
	let net: NetworkLab;

	beforeEach((context) => {
		if (missing !== null) context.skip(true, missing);
		net = new NetworkLab();
	});
	afterEach(() => net?.close());

	async function pair(refuses: Refusal) {
		const hosts = [net.host("a"), net.host("b")] as const;
		net.cable(hosts[0], ["10.200.0.1/24"], hosts[1], ["10.200.0.2/24"]);
		const [a, b] = await Promise.all([
			net.device(hosts[0], {
				privateKey: keyA,
				dataPlane: "offload",
				addresses: ["10.9.0.1/24", "fd09::1/64"],
				refuses,
			}),
			net.device(hosts[1], { privateKey: keyB, dataPlane: "offload", addresses: ["10.9.0.2/24", "fd09::2/64"] }),
		]);
		const endpoint = { address: "10.200.0.2", port: 51820 };
		await a.setPeer({ publicKey: p.publicKey(keyB), allowedIps: ["10.9.0.2/32", "fd09::2/128"], endpoint });
		await b.setPeer({ publicKey: p.publicKey(keyA), allowedIps: ["10.9.0.1/32", "fd09::1/128"] });
		return { hosts, a, b };
	}

	/** Sends bytes by TCP; both ends' hashes agree. */
	async function sendTcp(from: string, to: string, address: string, bytes: number): Promise<void> {
		const server = net.start(to, process.execPath, [transfer, "serve", address], "pipe");
		const lines = createInterface({ input: server.stdout! })[Symbol.asyncIterator]();
		const port = (await lines.next()).value as string;
		const client = net.start(from, process.execPath, [transfer, "send", address, port, String(bytes)], "pipe");
		const sent = (await createInterface({ input: client.stdout! })[Symbol.asyncIterator]().next()).value as string;
		expect(sent).toMatch(/^[0-9a-f]{64}$/);
		expect((await lines.next()).value).toBe(sent);
	}

	/** What health says of the plane, once it does. */
	async function noted(device: LabDevice): Promise<string> {
		const shown = await device.call<readonly { code: string; title: string }[]>("health");
		return shown.map(({ code, title }) => `${code}: ${title}`).join("\n");
	}

	const cases: readonly (readonly [Refusal, RegExp])[] = [
		["virtio-header", /the TUN's segmentation offloads/],
		["tun-offloads", /the TUN's segmentation offloads/],
		["udp-segment", /UDP_SEGMENT/],
		["udp-gro", /UDP_GRO/],
	];

	it.each(cases)("%s: the rest is used, health says so, and nothing is lost", async (refuses, note) => {
		const { hosts, a, b } = await pair(refuses);
		expect(net.ping(hosts[0], "10.9.0.2", { count: 5 })).toBe(5);
		expect(net.ping(hosts[1], "fd09::1", { count: 5, bytes: 5000 })).toBe(5);
		await sendTcp(hosts[0], hosts[1], "10.9.0.2", 10_000_000);
		await sendTcp(hosts[1], hosts[0], "fd09::1", 10_000_000);
		const status = await a.status();
		expect(status).toMatchObject({ dataPlane: "offload", fallback: expect.stringMatching(note) });
		expect(status.counters).toMatchObject({ notAuthentic: 0, malformedPacket: 0, tunErrors: 0, sendErrors: 0 });
		expect((await b.status()).counters).toMatchObject({ notAuthentic: 0, malformedPacket: 0, tunErrors: 0 });
		expect(await noted(a)).toMatch(note);
	});

	it("segmented-send: the train that was refused goes again one by one, and the bytes are whole", async () => {
		const { hosts, a, b } = await pair("segmented-send");
		await sendTcp(hosts[0], hosts[1], "10.9.0.2", 30_000_000);
		const status = await a.status();
		expect(status.fallback).toMatch(/does not take segmented sends \(error 5\)/);
		expect(status.counters["sendErrors"]).toBe(0);
		expect((await b.status()).counters).toMatchObject({ notAuthentic: 0, replayed: 0, malformedPacket: 0 });
		expect(await noted(a)).toMatch(/segmented sends/);
		expect(net.ping(hosts[0], "10.9.0.2", { count: 5 })).toBe(5);
	});
});
