import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect } from "node:net";
import { systemClock } from "@warren/kernel";
import { fromPortZero, VirtualClock } from "@warren/testkit";
import { decode, encode } from "dns-packet";
import { describe, expect, it } from "vitest";
import { NameResponder, responderLimits } from "./responder.ts";

const query = (name: string, id = 7) =>
	encode({ type: "query", id, flags: 0x0100, questions: [{ type: "AAAA", name }] });
const lookup = (name: string) => (name === "alpha" ? ["fd5a:1f00:0:1::1"] : null);

describe("the name responder", () => {
	it("answers nobody at port 0, and everybody else after that", async () => {
		const options = { host: "127.0.0.1", port: 0, lookup, forwardsFor: () => false };
		const responder = await NameResponder.open(systemClock, options);
		const client = createSocket("udp4");
		const ask = () => client.send(query("alpha.warren.internal"), responder.port, "127.0.0.1");
		{
			using zero = fromPortZero(responder.port);
			ask();
			await expect.poll(() => zero.arrived).toBe(1);
			expect(zero.faults).toEqual([]);
		}
		ask();
		const [answer] = await once(client, "message");
		expect(decode(answer).answers).toMatchObject([{ data: "fd5a:1f00:0:1::1" }]);
		client.close();
		await responder.close();
	});

	it("answers by TCP too, several in one piece", async () => {
		const responder = await NameResponder.open(systemClock, {
			host: "127.0.0.1",
			port: 0,
			lookup,
			forwardsFor: () => false,
		});
		const framed = (bytes: Buffer) => Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes]);
		const answers = await new Promise<number[]>((resolve, reject) => {
			let rest = Buffer.alloc(0);
			const ids: number[] = [];
			const socket = connect(responder.port, "127.0.0.1").on("error", reject);
			socket.on("data", (part: Buffer) => {
				rest = Buffer.concat([rest, part]);
				while (rest.length >= 2 && rest.length >= 2 + rest.readUInt16BE(0)) {
					ids.push(decode(rest.subarray(2, 2 + rest.readUInt16BE(0))).id ?? -1);
					rest = rest.subarray(2 + rest.readUInt16BE(0));
				}
				if (ids.length === 2) {
					socket.destroy();
					resolve(ids);
				}
			});
			socket.write(
				Buffer.concat([framed(query("alpha.warren.internal", 1)), framed(query("beta.warren.internal", 2))]),
			);
		});
		expect(answers).toEqual([1, 2]);
		await responder.close();
		await responder.close();
	});

	it("a client that asks by TCP and never reads is cut, before its answers fill the memory", async () => {
		const clock = new VirtualClock();
		let looked = 0;
		const responder = await NameResponder.open(clock, {
			...{ host: "127.0.0.1", port: 0, forwardsFor: () => false },
			lookup: () => {
				looked += 1;
				return null;
			},
		});
		const asked = query(`${"a".repeat(60)}.${"b".repeat(60)}.${"c".repeat(60)}.warren.internal`);
		const framed = Buffer.concat([Buffer.from([0, asked.length]), asked]);
		const socket = connect({ port: responder.port, host: "127.0.0.1" });
		const gone = new Promise<void>((resolve) => socket.on("error", () => {}).once("close", () => resolve()));
		// More than the system's buffers hold, never faster than one address may.
		const enough = 200_000;
		const { perSecond } = responderLimits.perAddress;
		for (let questions = perSecond; questions < enough && !socket.destroyed; questions += perSecond) {
			socket.write(Buffer.concat(Array<Buffer>(perSecond).fill(framed)));
			for (let turn = 0; turn < 100_000 && looked < questions && !socket.destroyed; turn++)
				await new Promise((resolve) => setImmediate(resolve));
			await clock.advance(1000);
		}
		expect(looked).toBeLessThan(enough - perSecond);
		await gone;
		await responder.close();
	});

	it("passes other domains on for stock clients alone", async () => {
		const upstream = createSocket("udp4");
		await new Promise<void>((resolve) => upstream.bind(0, "127.0.0.1", resolve));
		upstream.on("message", (bytes, from) => {
			const asked = decode(bytes);
			upstream.send(
				encode({
					type: "response",
					id: asked.id ?? 0,
					questions: asked.questions ?? [],
					answers: [{ type: "AAAA", name: "example.org", ttl: 1, data: "2001:db8::1" }],
				}),
				from.port,
				from.address,
			);
		});
		let allowed = false;
		const responder = await NameResponder.open(systemClock, {
			host: "127.0.0.1",
			port: 0,
			lookup,
			forwardsFor: () => allowed,
			upstream: () => ({ address: "127.0.0.1", port: upstream.address().port }),
		});
		const client = createSocket("udp4");
		const ask = (bytes: Buffer) =>
			new Promise<ReturnType<typeof decode>>((resolve) => {
				client.once("message", (answer) => resolve(decode(answer)));
				client.send(bytes, responder.port, "127.0.0.1");
			});
		expect(await ask(query("example.org"))).toMatchObject({ rcode: "REFUSED", answers: [] });
		allowed = true;
		expect(await ask(query("example.org"))).toMatchObject({ id: 7, answers: [{ data: "2001:db8::1" }] });
		expect(await ask(query("ALPHA.warren.internal"))).toMatchObject({ answers: [{ name: "ALPHA.warren.internal" }] });
		await responder.close();
		await new Promise<void>((resolve) => client.close(() => resolve()));
		await new Promise<void>((resolve) => upstream.close(() => resolve()));
	});
});
