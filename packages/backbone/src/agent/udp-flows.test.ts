import { createSocket, type RemoteInfo, type Socket } from "node:dgram";
import { once } from "node:events";
import { duplexPair } from "node:stream";
import { type Clock, Lifetime, silentLogger, systemClock } from "@warren/kernel";
import { fromPortZero, VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";
import { FrameReader } from "../protocol/frames.ts";
import type { Dialled } from "./dial.ts";
import { Forwarder } from "./forwarder.ts";
import { UdpFlows, udpFlowLimits } from "./udp-flows.ts";

let lifetime: Lifetime;
beforeEach(() => {
	lifetime = new Lifetime();
});
afterEach(() => lifetime.close());

async function socket(): Promise<Socket & { readonly port: number }> {
	const opened = createSocket("udp4");
	opened.bind(0, "127.0.0.1");
	await once(opened, "listening");
	lifetime.defer(() => void opened.close());
	return Object.assign(opened, { port: opened.address().port });
}

/** A service that answers each datagram with itself, and says what came from where. */
async function echo() {
	const service = await socket();
	const seen: { readonly from: number; readonly bytes: Buffer }[] = [];
	service.on("message", (bytes: Buffer, { port, address }: RemoteInfo) => {
		seen.push({ from: port, bytes });
		service.send(bytes, port, address);
	});
	return { port: service.port, seen };
}

async function backboneWith(port: number, clock: Clock = systemClock): Promise<TestBackbone> {
	const backbone = await TestBackbone.open({}, undefined, { clock });
	lifetime.defer(() => backbone[Symbol.asyncDispose]());
	await backbone.agent("dns", port, { kind: "udp" });
	await backbone.api("PATCH", "/admin/api/services/dns", { body: { settings: { require_identity: true } } });
	return backbone;
}

async function forwardTo(
	backbone: TestBackbone,
	credential: string,
	clock: Clock = systemClock,
	service = "dns",
): Promise<Forwarder> {
	const url = new URL(`http://127.0.0.1:${backbone.port}`);
	const opened = await Forwarder.open(
		{ clock, logger: silentLogger },
		{ target: { url, tls: {} }, ...{ service, credential, host: "127.0.0.1", port: 0 } },
	);
	if (!opened.ok) throw new Error(opened.message);
	lifetime.defer(() => opened.forwarder.close());
	return opened.forwarder;
}

const ask = async (from: Socket, port: number, bytes: Buffer | string) => {
	const came = once(from, "message");
	from.send(bytes, port, "127.0.0.1");
	return (await came)[0] as Buffer;
};

it("a datagram from port 0, where nothing can be sent, begins no flow", async () => {
	const service = await echo();
	const backbone = await backboneWith(service.port);
	const { credential } = await backbone.principal("dns");
	const { port } = await forwardTo(backbone, credential);
	const client = await socket();
	{
		using zero = fromPortZero(port);
		client.send("nobody's", port, "127.0.0.1");
		await expect.poll(() => zero.arrived).toBe(1);
		expect(zero.faults).toEqual([]);
	}
	client.send("hers", port, "127.0.0.1");
	const [answer] = await once(client, "message");
	expect([String(answer), service.seen.map(({ bytes }) => String(bytes))]).toEqual(["hers", ["hers"]]);
});

describe("warren forward to a UDP service", () => {
	it("F2: keeps each datagram whole, empty and of 65,507 bytes, and each local source apart", async () => {
		const service = await echo();
		const backbone = await backboneWith(service.port);
		const { services } = (await backbone.api("GET", "/admin/api/services")).json;
		expect(services).toMatchObject([{ service: "dns", url: "udp://dns" }]);
		const forwarder = await forwardTo(backbone, (await backbone.principal("dns")).credential);
		expect(forwarder.protocol).toBe("udp");
		const [one, two] = [await socket(), await socket()];
		const sizes = [0, 1, 1200, 9_000, 65_507];
		for (const size of sizes) expect(await ask(one, forwarder.port, Buffer.alloc(size, size))).toHaveLength(size);
		expect(String(await ask(two, forwarder.port, "two"))).toBe("two");
		expect(String(await ask(one, forwarder.port, "one"))).toBe("one");
		expect(service.seen.map(({ bytes }) => bytes.length)).toEqual([...sizes, 3, 3]);
		const sources = service.seen.map(({ from }) => from);
		expect(new Set(sources).size).toBe(2);
		expect(sources[5]).not.toBe(sources[0]);
		expect(sources[6]).toBe(sources[0]);
	});

	it("sends what came while its link was dialled, in order", async () => {
		const service = await echo();
		const backbone = await backboneWith(service.port);
		const forwarder = await forwardTo(backbone, (await backbone.principal("dns")).credential);
		const client = await socket();
		const answers: string[] = [];
		const all = new Promise<void>((resolve) =>
			client.on("message", (bytes: Buffer) => {
				if (answers.push(bytes.toString()) === 20) resolve();
			}),
		);
		const words = Array.from({ length: 20 }, (_, each) => `datagram ${each}`);
		for (const word of words) client.send(word, forwarder.port, "127.0.0.1");
		await all;
		expect(answers).toEqual(words);
	});

	it("ends a flow that nobody used for a minute; the next datagram begins another", async () => {
		const service = await echo();
		const backbone = await backboneWith(service.port);
		const clock = new VirtualClock();
		const forwarder = await forwardTo(backbone, (await backbone.principal("dns")).credential, clock);
		const client = await socket();
		await ask(client, forwarder.port, "first");
		// The pings of its link wait for the same clock: the flow goes by its own limit.
		await clock.advance(udpFlowLimits.idleMs);
		await ask(client, forwarder.port, "second");
		expect(service.seen[1]?.from).not.toBe(service.seen[0]?.from);
	});

	it("needs a grant, and ends with it", async () => {
		const service = await echo();
		const backbone = await backboneWith(service.port);
		await expect(forwardTo(backbone, (await backbone.principal()).credential)).rejects.toThrow(/grant/);
		const { id, credential } = await backbone.principal("dns");
		const forwarder = await forwardTo(backbone, credential);
		const client = await socket();
		await ask(client, forwarder.port, "first");
		const busy = async () => (await backbone.api("GET", "/admin/api/services")).json.services[0].agents[0].busy;
		expect(await busy()).toBe(1);
		await backbone.api("DELETE", `/admin/api/grants/${id}/dns`);
		await expect.poll(busy).toBe(0);
		await expect(forwardTo(backbone, credential)).rejects.toThrow(/grant/);
		expect(service.seen).toHaveLength(1);
	});

	it("drops what is above the service's bandwidth, and goes on once that has been paid off", async () => {
		const service = await socket();
		const seen: string[] = [];
		const last = new Promise<void>((resolve) =>
			service.on("message", (bytes: Buffer) => {
				seen.push(bytes.toString().trim());
				if (seen.at(-1) === "last") resolve();
			}),
		);
		const clock = new VirtualClock();
		const backbone = await backboneWith(service.port, clock);
		await backbone.api("PATCH", "/admin/api/services/dns", {
			body: { settings: { require_identity: true, bytes_per_second: 10_000 } },
		});
		const forwarder = await forwardTo(backbone, (await backbone.principal("dns")).credential);
		const client = await socket();
		const second = new Promise<void>((resolve) =>
			service.on("message", (bytes: Buffer) => {
				if (bytes.toString().trim() === "2") resolve();
			}),
		);
		for (const word of ["1", "2", "3", "4"]) client.send(word.padEnd(600), forwarder.port, "127.0.0.1");
		await second;
		await clock.advance(10_000);
		client.send("last", forwarder.port, "127.0.0.1");
		await last;
		expect(seen.filter((word) => word === "3" || word === "4")).toEqual([]);
		expect(seen.filter((word) => /^[12]$|last/.test(word))).toEqual(["1", "2", "last"]);
	});
});

describe("local sources", () => {
	const refused: Dialled = { ok: false, status: 503, message: "no agent", retryAfterMs: 4_000 };

	/** Each dial waits for the test to settle it. */
	async function flows(clock: Clock) {
		const dials: ((dialled: Dialled) => void)[] = [];
		let more = () => {};
		const dial = () =>
			new Promise<Dialled>((resolve) => {
				dials.push(resolve);
				more();
			});
		const opened = await UdpFlows.open({ clock, logger: silentLogger, dial }, "127.0.0.1", 0);
		lifetime.defer(() => opened.close());
		const dialled = async (count: number) => {
			while (dials.length < count) await new Promise<void>((resolve) => (more = resolve));
		};
		return { port: opened.port, dials, dialled };
	}

	it("that are refused are not dialled for anew with each datagram, but after as long as the backbone says", async () => {
		const clock = new VirtualClock();
		const { port, dials, dialled } = await flows(clock);
		const [client, other] = [await socket(), await socket()];
		client.send("x", port, "127.0.0.1");
		await dialled(1);
		dials[0]?.(refused);
		for (let each = 0; each < 20; each++) client.send("x", port, "127.0.0.1");
		// Received after those.
		other.send("x", port, "127.0.0.1");
		await dialled(2);
		await clock.advance(refused.retryAfterMs - 1);
		client.send("x", port, "127.0.0.1");
		const third = await socket();
		third.send("x", port, "127.0.0.1");
		await dialled(3);
		expect(dials).toHaveLength(3);
		await clock.advance(1);
		client.send("x", port, "127.0.0.1");
		await dialled(4);
		expect(dials).toHaveLength(4);
	});

	it("whose datagrams are empty keep no more than so many of them waiting for their link", async () => {
		const { port, dials, dialled } = await flows(new VirtualClock());
		const client = await socket();
		const { maxWaiting } = udpFlowLimits;
		for (let sent = 0; sent <= 1100; sent++) {
			client.send("", port, "127.0.0.1");
			if (sent % 50 !== 0) continue;
			// Received after those: nothing is lost for want of room on the way.
			(await socket()).send("x", port, "127.0.0.1");
			await dialled(sent / 50 + 2);
		}
		const [near, far] = duplexPair();
		const reader = new FrameReader();
		let data = 0;
		const last = new Promise<void>((resolve) =>
			far.on("data", (chunk: Buffer) => {
				const onData = (piece: Buffer) => {
					data += 1;
					if (String(piece) === "last") resolve();
				};
				reader.feed(chunk, { reading: true, onData, onControl: () => {} });
			}),
		);
		dials[0]?.({ ok: true, channel: near });
		await new Promise(setImmediate);
		client.send("last", port, "127.0.0.1");
		await last;
		expect(data).toBe(maxWaiting + 1);
	});

	it("beyond 64 that wait for their links are dropped until one has been answered", async () => {
		const { port, dials, dialled } = await flows(new VirtualClock());
		const clients = await Promise.all(Array.from({ length: udpFlowLimits.maxDialling + 2 }, socket));
		const send = (each: number) => clients[each]?.send("x", port, "127.0.0.1");
		for (let each = 0; each < udpFlowLimits.maxDialling; each++) {
			send(each);
			await dialled(each + 1);
		}
		const [near, far] = duplexPair();
		dials[0]?.({ ok: true, channel: near });
		await once(far, "data");
		const [late, later] = [udpFlowLimits.maxDialling, udpFlowLimits.maxDialling + 1];
		send(late);
		await dialled(late + 1);
		send(later);
		// Received after that one, and said on its link.
		const said = once(far, "data");
		send(0);
		await said;
		expect(dials).toHaveLength(late + 1);
		dials[1]?.(refused);
		await new Promise(setImmediate);
		send(later);
		await dialled(later + 1);
		expect(dials).toHaveLength(later + 1);
	});
});
