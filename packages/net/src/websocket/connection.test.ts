import { once } from "node:events";
import { createServer, type Server } from "node:http";
import type { AddressInfo, Socket } from "node:net";
import { closeCodes, systemClock } from "@warren/kernel";
import { RawClient, VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { WebSocketServer } from "ws";
import { type AcceptOptions, WebSocketConnection, webSocketLimits } from "./connection.ts";
import { dialWebSocket } from "./dial.ts";
import { encodeFrame } from "./frame.ts";

let server: Server;
let clock: VirtualClock;
let options: AcceptOptions;
let accepted: Promise<{ connection: WebSocketConnection; socket: Socket }>;

beforeEach(async () => {
	clock = new VirtualClock();
	options = {};
	const sockets = new WebSocketServer({ noServer: true, perMessageDeflate: false, maxPayload: 1024 * 1024 });
	server = createServer();
	accepted = new Promise((resolve) => {
		server.on("upgrade", (request, socket, head) =>
			sockets.handleUpgrade(request, socket, head, (ws) =>
				resolve({
					connection: new WebSocketConnection(ws, socket, "test", clock, options),
					socket: socket as Socket,
				}),
			),
		);
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
});
afterEach(async () => {
	(await accepted).socket.destroy();
	await new Promise((resolve) => server.close(resolve));
});

const port = () => (server.address() as AddressInfo).port;
const dial = async () => {
	const dialled = await dialWebSocket(`ws://127.0.0.1:${port()}/`, systemClock, { maxMessageBytes: 64 * 1024 * 1024 });
	if (!dialled.ok) throw new Error(dialled.message);
	return dialled.connection;
};
const messages = (connection: WebSocketConnection, count: number) =>
	new Promise<string[]>((resolve) => {
		const seen: string[] = [];
		connection.onMessage((data) => {
			seen.push(data.toString("latin1"));
			if (seen.length === count) resolve(seen);
		});
	});
const closeOf = (connection: WebSocketConnection) =>
	new Promise<[number, string]>((resolve) => connection.onClose((code, reason) => resolve([code, reason])));
/** A client that shakes hands and then does only what the test says. */
const mute = async () => {
	const client = await RawClient.open({ port: port() });
	client.send(
		"GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
	);
	await client.until(/\r\n\r\n/);
	return client;
};

describe("a WebSocket connection", () => {
	it.each(["now", "tick"] as const)("keeps the order of what is sent, flushed %s", async (flush) => {
		options = { flush, maxBufferedBytes: 64 * 1024 * 1024 };
		const client = await dial();
		const { connection } = await accepted;
		const sent = Array.from({ length: 500 }, (_, index) => `${index}:${"x".repeat((index * 131) % 70_000)}`);
		const received = messages(client, sent.length);
		for (const [index, each] of sent.entries()) {
			if (index % 50 === 0) await Promise.resolve();
			expect(connection.send(each)).toBe("sent");
		}
		expect(await received).toEqual(sent);
		await client.close();
	});

	it("writes what one turn sends at once when flushed by tick", async () => {
		options = { flush: "tick" };
		const client = await dial();
		const { connection, socket } = await accepted;
		let writes = 0;
		const writev = socket._writev?.bind(socket);
		const write = socket._write.bind(socket);
		socket._writev = (chunks, done) => {
			writes += 1;
			writev?.(chunks, done);
		};
		socket._write = (chunk, encoding, done) => {
			writes += 1;
			write(chunk, encoding, done);
		};
		const received = messages(client, 100);
		const frame = encodeFrame("shared");
		for (let each = 0; each < 100; each++) connection.sendFrame(frame);
		expect(new Set(await received)).toEqual(new Set(["shared"]));
		expect(writes).toBe(1);
		await client.close();
	});

	it("takes what fits its limit, and one byte more closes it with 1013", async () => {
		options = { maxBufferedBytes: 1_000_000, flush: "tick" };
		using client = await mute();
		client.socket.pause();
		const { connection } = await accepted;
		// Header of 4 bytes each, so that the sum is exactly the limit.
		const chunk = Buffer.alloc(50_000 - 4);
		for (let sent = 0; sent < 20; sent++) expect(connection.send(chunk)).toBe("sent");
		expect(connection.bufferedBytes).toBe(1_000_000);
		const closed = closeOf(connection);
		expect(connection.send("")).toBe("overflow");
		expect(connection.send("")).toBe("closed");
		expect(connection.bufferedBytes).toBeLessThan(100);
		await clock.advance(webSocketLimits.closeMs);
		await closed;
	});

	it("sends the code 1013 to a reader that fell behind", async () => {
		options = { maxBufferedBytes: 10 };
		const client = await dial();
		const { connection } = await accepted;
		const closed = closeOf(client);
		expect(connection.send("far too much for this one")).toBe("overflow");
		expect(await closed).toEqual([closeCodes.tooSlow, "too slow: the reader fell behind"]);
	});

	it("cuts a half-open socket, and only that, at its limit of silence", async () => {
		using client = await mute();
		const { connection } = await accepted;
		const closed = closeOf(connection);
		await clock.advance(webSocketLimits.silenceMs - 1);
		expect(connection.isOpen).toBe(true);
		await clock.advance(1);
		expect(await closed).toEqual([1006, ""]);
		expect((await client.closed()).split("\x89\x00").length - 1, "pings").toBe(2);
	});

	it("is kept by pongs", async () => {
		const client = await dial();
		const { connection, socket } = await accepted;
		for (let rounds = 0; rounds < 10; rounds++) {
			const ponged = once(socket, "data");
			await clock.advance(webSocketLimits.pingMs);
			await ponged;
		}
		expect(connection.isOpen).toBe(true);
		await client.close();
		expect(clock.pending, "no timer is left").toBe(0);
	});

	it("is kept while one long message arrives, and while it is paused", async () => {
		using client = await mute();
		const { connection, socket } = await accepted;
		// The head of a masked binary message of 60 000 bytes, and then a byte now and then.
		client.send(Uint8Array.from([0x82, 0xfe, 0xea, 0x60, 0, 0, 0, 0]));
		for (let rounds = 0; rounds < 5; rounds++) {
			const arrived = once(socket, "data");
			client.send(Uint8Array.from([1]));
			await arrived;
			await clock.advance(webSocketLimits.silenceMs - 1);
			expect(connection.isOpen).toBe(true);
		}
		connection.pause();
		await clock.advance(webSocketLimits.silenceMs * 3);
		expect(connection.isOpen).toBe(true);
		connection.resume();
		const closed = closeOf(connection);
		await clock.advance(webSocketLimits.silenceMs * 2);
		expect((await closed)[0]).toBe(1006);
	});

	it("closes with its code, once, with a reason cut to what a frame carries", async () => {
		const client = await dial();
		const { connection } = await accepted;
		const closed = closeOf(client);
		await Promise.all([connection.close(closeCodes.replaced, "ü".repeat(100)), connection.close(1000)]);
		expect(await closed).toEqual([closeCodes.replaced, "ü".repeat(61)]);
		expect(connection.send("x")).toBe("closed");
		await connection.close();
	});

	it("cuts a side that does not answer a close", async () => {
		using client = await mute();
		const { connection } = await accepted;
		const closed = connection.close(closeCodes.signIn);
		await clock.advance(webSocketLimits.closeMs);
		await closed;
		await client.closed();
	});

	it("sends what was accepted before a close", async () => {
		options = { flush: "tick" };
		const client = await dial();
		const { connection } = await accepted;
		const received = messages(client, 1);
		connection.send("last words");
		void connection.close();
		expect(await received).toEqual(["last words"]);
	});

	it("that was dialled hears what came with the handshake, and stays paused when told so at once", async () => {
		const dialling = dial();
		const { connection } = await accepted;
		connection.send("first");
		const client = await dialling;
		const heard = messages(client, 1);
		expect(await heard).toEqual(["first"]);
		const again = await dial();
		again.pause();
		await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
		expect(again.isPaused).toBe(true);
		again.terminate();
		await client.close();
	});

	it("refuses messages above its limit with 1009", async () => {
		const client = await dial();
		const closed = closeOf(client);
		client.send("x".repeat(1024 * 1024 + 1));
		expect((await closed)[0]).toBe(1009);
	});

	it("refuses frames that are not masked", async () => {
		using client = await mute();
		const { connection } = await accepted;
		const closed = closeOf(connection);
		client.send(Uint8Array.from([0x82, 0x01, 0x41]));
		await client.until(/\x88\x02\x03\xea/);
		client.socket.end();
		expect((await closed)[0]).toBe(1006);
	});
});
