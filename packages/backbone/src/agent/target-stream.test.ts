import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { LookupFunction } from "node:net";
import { duplexPair } from "node:stream";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { TunnelLink } from "../tunnel/link.ts";
import { UdpTargetStream, udpTargetLimits } from "./target-stream.ts";

it("a target's name is looked up once for its datagrams, which wait within a limit, and anew later on", async () => {
	const clock = new VirtualClock();
	const service = createSocket("udp4").bind(0, "127.0.0.1");
	await once(service, "listening");
	const came: number[] = [];
	service.on("message", (datagram) => came.push(datagram.length));
	const answers: (() => void)[] = [];
	const lookup: LookupFunction = (_name, _options, done) => answers.push(() => done(null, "127.0.0.1", 4));
	const [near] = duplexPair();
	const owner = { onOpen: () => {}, onIdle: () => {}, onControl: () => {}, onClosed: () => {} };
	const link = new TunnelLink(near, owner, () => clock.monotonic());
	const target = { host: "game.test", port: service.address().port, proxyProtocol: false };
	const stream = new UdpTargetStream(link, target, clock, null, lookup);
	const fits = udpTargetLimits.maxWaitingBytes / 8192;
	for (let each = 0; each < 10_000; each++) stream.onData(Buffer.alloc(8192), true);
	expect(answers).toHaveLength(1);
	answers[0]?.();
	stream.onData(Buffer.alloc(1), true);
	await expect.poll(() => came).toEqual([...Array<number>(fits).fill(8192), 1]);
	expect(answers).toHaveLength(1);
	await clock.advance(udpTargetLimits.lookUpMs);
	stream.onData(Buffer.alloc(2), true);
	stream.onData(Buffer.alloc(3), true);
	// By the address of before, until there is another.
	await expect.poll(() => came.slice(-2)).toEqual([2, 3]);
	expect(answers).toHaveLength(2);
	stream.onBroken();
	answers[1]?.();
	link.close("over");
	service.close();
});

it("a target whose name has an address of the newer family alone is reached there, and follows its name to the older", async () => {
	const clock = new VirtualClock();
	const target = { host: "game.test", port: 0, proxyProtocol: false };
	const newer = createSocket("udp6").bind(0, "::1");
	await once(newer, "listening");
	target.port = newer.address().port;
	const older = createSocket("udp4").bind(target.port, "127.0.0.1");
	await once(older, "listening");
	const came: string[] = [];
	for (const [name, service] of Object.entries({ newer, older }))
		service.on("message", (datagram, from) => {
			came.push(`${datagram} at the ${name}`);
			service.send(`${name} answers ${datagram}`, from.port, from.address);
		});
	const addresses = ["::1", "127.0.0.1"];
	const asked: object[] = [];
	const lookup: LookupFunction = (_name, options, done) => {
		asked.push(options);
		const address = addresses.shift() as string;
		done(null, address, address === "::1" ? 6 : 4);
	};
	const [near, far] = duplexPair();
	const owner = { onIdle: () => {}, onControl: () => {}, onClosed: () => {} };
	const onOpen = (opened: TunnelLink) => {
		opened.user = new UdpTargetStream(opened, target, clock, null, lookup);
	};
	const agent = new TunnelLink(near, { ...owner, onOpen }, () => clock.monotonic());
	const visitor = new TunnelLink(far, { ...owner, onOpen: () => {} }, () => clock.monotonic());
	const answers: string[] = [];
	const reads = { onEnd: () => {}, onBroken: () => {}, onDrain: () => {} };
	visitor.open({ kind: "udp" }, { ...reads, onData: (piece) => answers.push(piece.toString()) });
	visitor.write(Buffer.from("one"));
	await expect.poll(() => answers).toEqual(["newer answers one"]);
	await clock.advance(udpTargetLimits.lookUpMs);
	visitor.write(Buffer.from("two"));
	await expect.poll(() => answers.slice(1)).toEqual(["older answers two"]);
	expect(came).toEqual(["one at the newer", "two at the older"]);
	expect(asked).toEqual(Array(2).fill({ order: "ipv4first" }));
	visitor.close("over");
	agent.close("over");
	newer.close();
	older.close();
});
