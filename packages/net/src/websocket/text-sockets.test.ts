import { once } from "node:events";
import { firstOf, silentLogger, systemClock } from "@warren/kernel";
import { RawClient, VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import WebSocket from "ws";
import { HostTable } from "../http/host-table.ts";
import { Listener } from "../http/listener.ts";
import { encodeFrame } from "./frame.ts";
import { type TextSocket, TextSockets, textSocketLimits } from "./text-sockets.ts";

let clock: VirtualClock;
let sockets: TextSockets;
let listener: Listener;
let heard: string[];
let closes: number[];
let waiting: { readonly until: () => boolean; readonly done: () => void }[];
const open: TextSocket[] = [];

const changed = () => {
	for (const each of waiting) if (each.until()) each.done();
};
const until = (condition: () => boolean) =>
	new Promise<void>((done) => {
		waiting.push({ until: condition, done });
		changed();
	});

beforeEach(async () => {
	clock = new VirtualClock();
	heard = [];
	// A test's own: sockets of the last one may still be closing.
	const ended: number[] = [];
	closes = ended;
	waiting = [];
	open.length = 0;
	sockets = new TextSockets(clock, {
		maxMessageBytes: 1024,
		maxBufferedBytes: 256 * 1024,
		onMessage: (_socket, text) => {
			heard.push(text);
			changed();
		},
		onClose: (_socket, code) => {
			ended.push(code);
			changed();
		},
	});
	listener = await Listener.open(
		{ clock: systemClock, logger: silentLogger },
		{
			role: "test",
			host: "127.0.0.1",
			port: 0,
			tls: null,
			hosts: new HostTable([]),
			authenticator: firstOf(),
			routes: [
				{
					owner: "test",
					method: "WS",
					path: "/x",
					credentials: ["none"],
					open: (_context, upgrade) => {
						open.push(sockets.accept(upgrade));
						changed();
					},
				},
			],
		},
	);
});
afterEach(async () => {
	sockets.close();
	await listener.close();
});

const connect = async () => {
	const client = new WebSocket(`ws://127.0.0.1:${listener.port}/x`, { perMessageDeflate: false });
	await once(client, "open");
	return client;
};
const raw = async () => {
	const client = await RawClient.open({ port: listener.port });
	client.send(
		`GET /x HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
	);
	await client.until(/\r\n\r\n/);
	return client;
};
/** A masked client frame. */
const masked = (first: number, payload: Buffer | string) => {
	const bytes = Buffer.from(payload);
	const mask = Buffer.from([1, 2, 3, 4]);
	const head = bytes.length < 126 ? [first, 0x80 | bytes.length] : [first, 0xfe, bytes.length >> 8, bytes.length & 255];
	return Buffer.concat([Buffer.from(head), mask, bytes.map((byte, index) => byte ^ (mask[index & 3] as number))]);
};

describe("many text sockets", () => {
	it("talk both ways with a client of the reference library, fragments and pings included", async () => {
		const client = await connect();
		client.send("grüße");
		client.send("two ", { fin: false });
		client.send("pieces", { fin: true });
		await until(() => heard.length === 2);
		expect(heard).toEqual(["grüße", "two pieces"]);
		const pong = once(client, "pong");
		client.ping("p");
		expect(String((await pong)[0])).toBe("p");
		const said: string[] = [];
		const three = new Promise<void>((resolve) =>
			client.on("message", (data) => said.push(String(data)) === 3 && resolve()),
		);
		open[0]?.send("a");
		sockets.sendFrame(encodeFrame("b".repeat(70_000)), open);
		open[0]?.send("c");
		await three;
		expect(said).toEqual(["a", "b".repeat(70_000), "c"]);
		client.close(4000, "bye");
		await until(() => closes.length === 1);
		expect(closes).toEqual([4000]);
		expect(sockets.size).toBe(0);
	});

	it("texts of every length of head arrive as they were, of ASCII alone, with others, and both in one turn", async () => {
		const client = await connect();
		const lengths = [0, 1, 125, 126, 127, 65_535, 65_536];
		const texts = lengths.map((length) => "a".repeat(length));
		const turns = [texts, texts.map((text) => `ü\u{1f427}${text}`), [...texts, "ü", "\u00ff", "plain", "€"], ["plain"]];
		const said: string[] = [];
		for (const turn of turns) {
			const all = new Promise<void>((resolve) => {
				let left = turn.length;
				client.on("message", (data) => {
					said.push(String(data));
					left -= 1;
					if (left === 0) resolve();
				});
			});
			for (const text of turn) open[0]?.send(text);
			await all;
			client.removeAllListeners("message");
			expect(said.splice(0)).toEqual(turn);
		}
	});

	it("what can wait goes out with what comes next, in order, or by itself after a while", async () => {
		const client = await connect();
		const said: string[] = [];
		const heardAll = (count: number) =>
			new Promise<void>((resolve) => {
				const look = () => said.length >= count && resolve();
				client.on("message", look);
				look();
			});
		client.on("message", (data) => said.push(String(data)));
		const socket = open[0] as TextSocket;
		socket.sendSoon("first");
		socket.sendSoon("second");
		socket.send("third");
		await heardAll(3);
		socket.sendSoon("fourth");
		// Whatever was to be written by now would have been, before this answer.
		const pong = once(client, "pong");
		client.ping();
		await pong;
		expect(said, "a pong takes what waits along").toEqual(["first", "second", "third", "fourth"]);
		socket.sendSoon("fifth");
		await clock.advance(textSocketLimits.soonMs);
		await heardAll(5);
		expect(said.at(-1)).toBe("fifth");
		socket.sendSoon("last");
		socket.close(4000, "bye");
		await heardAll(6);
		await until(() => closes.length === 1);
		expect(said.at(-1)).toBe("last");
	});

	it("read frames however the network cuts them", async () => {
		const client = await raw();
		const bytes = Buffer.concat([masked(0x81, "one"), masked(0x81, "x".repeat(300)), masked(0x81, "three")]);
		for (const byte of bytes) client.send(Buffer.from([byte]));
		await until(() => heard.length === 3);
		expect(heard).toEqual(["one", "x".repeat(300), "three"]);
		client.socket.destroy();
		await until(() => closes.length === 1);
		expect(closes).toEqual([1006]);
	});

	it.each([
		["an unmasked frame", Buffer.from([0x81, 1, 65]), 1002],
		["a reserved bit", masked(0xc1, "x"), 1002],
		["an unknown opcode", masked(0x83, "x"), 1002],
		["a continuation of nothing", masked(0x80, "x"), 1002],
		["a message within a message", Buffer.concat([masked(0x01, "x"), masked(0x81, "y")]), 1002],
		["a long control frame", masked(0x89, "x".repeat(126)), 1002],
		["a binary message", masked(0x82, "x"), 1003],
		["text that is not UTF-8", masked(0x81, Buffer.from([0xff])), 1007],
		["a message of one byte too many", masked(0x81, "x".repeat(1025)), 1009],
		["a length of 2^62", Buffer.from([0x81, 0xff, 0x40, 0, 0, 0, 0, 0, 0, 0, 1, 2, 3, 4]), 1009],
		[
			"fragments of one byte too many",
			Buffer.concat([masked(0x01, "x".repeat(1000)), masked(0x80, "x".repeat(25))]),
			1009,
		],
	])("%s ends that socket alone", async (_name, bytes, code) => {
		const other = await connect();
		const client = await raw();
		client.send(bytes);
		const seen = Buffer.from(await client.closed(), "latin1");
		const at = seen.indexOf("\r\n\r\n") + 4;
		expect(seen[at]).toBe(0x88);
		expect(seen.readUInt16BE(at + 2)).toBe(code);
		expect(heard).toEqual([]);
		other.send("still here");
		await until(() => heard.length === 1);
	});

	it("a reader that stalls is closed at the limit, and nobody waits for it", async () => {
		const client = await raw();
		client.socket.pause();
		const stalled = open[0] as TextSocket;
		const frame = encodeFrame("x".repeat(60_000));
		// The system's own buffers take some first; the rest waits here, and not without bound.
		for (let count = 0; stalled.isOpen && count < 1000; count += 1) {
			stalled.sendFrame(frame);
			await new Promise((resolve) => setImmediate(resolve));
		}
		expect([stalled.isOpen, closes], "told at once").toEqual([false, [1013]]);
		const cut = once(client.socket, "close");
		client.socket.resume();
		await clock.advance(textSocketLimits.closeMs + 1000);
		await cut;
		expect(closes).toEqual([1013]);
	});

	it("whoever is silent is pinged, and gone after 45 s; whoever answers stays", async () => {
		const client = await connect();
		const mute = await raw();
		const answered = once(client, "ping");
		await clock.advance(30_000);
		await answered;
		client.send("alive");
		await until(() => heard.length === 1);
		await clock.advance(30_000);
		await until(() => closes.length === 1);
		expect(sockets.size).toBe(1);
		expect(await mute.closed()).toContain("\x89\x00");
	});
});
