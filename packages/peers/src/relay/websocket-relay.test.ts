import { createHash } from "node:crypto";
import type { TLSSocket } from "node:tls";
import { closeCodes, systemClock } from "@warren/kernel";
import { type DialOptions, dialWebSocket, spliceLimits, type WebSocketConnection } from "@warren/net";
import { type HostilePeer, hostilePeer, RawClient, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { type RelayNode, relayNode } from "./relay-node.testing.ts";

type Headers = NodeJS.Dict<string | string[]>;
const acceptOf = (headers: Headers) =>
	createHash("sha1")
		.update(`${String(headers["sec-websocket-key"])}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`)
		.digest("base64");
const switching = (accept: string, more = "") =>
	`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${more}\r\n`;
/** A peer whose WebSocket does what `serve` says, after a right handshake. */
const socketPeer = (serve: (socket: TLSSocket, head: string, headers: Headers) => void) =>
	hostilePeer(undefined, {
		onUpgrade: (head, socket, headers) => {
			socket.write(switching(acceptOf(headers)));
			serve(socket, head, headers);
		},
	});
const echo = () => socketPeer((socket) => socket.on("data", (chunk: Buffer) => socket.write(unmasked(chunk))));
/** Server frames are not masked; good for one short frame a chunk. */
function unmasked(chunk: Buffer): Buffer {
	const length = (chunk[1] as number) & 0x7f;
	const payload = chunk.subarray(6, 6 + length).map((byte, index) => byte ^ (chunk[2 + (index % 4)] as number));
	return Buffer.concat([Buffer.from([chunk[0] as number, length]), payload]);
}

const dial = (node: RelayNode, id: string, rest = "main", options: DialOptions = {}) =>
	dialWebSocket(`${node.origin.replace("http", "ws")}/r/${id}/ws/${rest}`, systemClock, {
		headers: { authorization: "Bearer me", "x-mobux-upstream-authorization": "Bearer for-the-peer" },
		...options,
	});
const connected = async (dialling: ReturnType<typeof dial>) => {
	const dialled = await dialling;
	if (!dialled.ok) throw new Error(dialled.message);
	return dialled.connection;
};
const closeOf = (connection: WebSocketConnection) =>
	new Promise<{ code: number; reason: string }>((resolve) =>
		connection.onClose((code, reason) => resolve({ code, reason })),
	);
const refusal = async (dialling: ReturnType<typeof dial>) => {
	const { code, reason } = await closeOf(await connected(dialling));
	return { code, ...(JSON.parse(reason) as { error: string; message: string; relay?: number }) };
};
const upgrades = (peer: HostilePeer) => peer.requests.filter(({ line }) => line.includes("/ws/"));

describe("a relayed WebSocket", () => {
	it("carries bytes both ways, with the peer's credential and no other, and nothing of the client's head", async () => {
		await using peer = await echo();
		await using node = await relayNode();
		const connection = await connected(dial(node, await node.add(peer), "main?mode=fit&x=%2F"));
		expect(connection.protocol).toBe("warren.v1");
		const answer = new Promise((resolve) => connection.onMessage((data) => resolve(data.toString())));
		connection.send("hello");
		expect(await answer).toBe("hello");
		const [{ line, headers } = { line: "", headers: {} as Headers }] = upgrades(peer);
		expect(line).toBe("GET /ws/main?mode=fit&x=%2F");
		expect(headers["authorization"]).toBe("Bearer for-the-peer");
		expect(headers["sec-websocket-protocol"]).toBe("warren.v1");
		expect(headers["sec-websocket-extensions"]).toBeUndefined();
		expect(headers["x-warren-hops"]).toBe("1");
		expect(peer.received()).not.toContain("Bearer me");
		await connection.close();
		await peer.idle();
	});

	it("takes the upstream credential from a ticket", async () => {
		await using peer = await echo();
		await using node = await relayNode();
		const connection = await connected(
			dial(node, await node.add(peer), "main", { headers: {}, protocols: ["warren.v1", "ticket.t"] }),
		);
		expect(upgrades(peer)[0]?.headers["authorization"]).toBe("Bearer from-ticket");
		expect(peer.received()).not.toContain("ticket.t");
		await connection.close();
	});

	it("brings everything that the peer said, and its close code, also to a client that reads late", async () => {
		const size = 4_000_000;
		await using peer = await socketPeer((socket) => {
			const head = Buffer.alloc(10);
			head[0] = 0x82;
			head[1] = 127;
			head.writeBigUInt64BE(BigInt(size), 2);
			socket.write(head);
			socket.write(Buffer.alloc(size, "x"));
			socket.end(Buffer.from([0x88, 2, 0x11, 0x31]));
		});
		await using node = await relayNode();
		const connection = await connected(dial(node, await node.add(peer), "main", { maxMessageBytes: size }));
		connection.pause();
		const closed = closeOf(connection);
		const received = new Promise<number>((resolve) => connection.onMessage((data) => resolve(data.length)));
		await peer.idle();
		connection.resume();
		expect(await received).toBe(size);
		expect((await closed).code).toBe(closeCodes.signIn);
	});

	it("slows the peer down when the client does not read, and holds little meanwhile", async () => {
		let sent = 0;
		let blocked: () => void = () => {};
		const stalled = new Promise<void>((resolve) => {
			blocked = resolve;
		});
		const limit = 256 * 1024 * 1024;
		await using peer = await socketPeer((socket) => {
			const chunk = Buffer.concat([Buffer.from([0x82, 126, 0xff, 0xff]), Buffer.alloc(65_535)]);
			let idle: NodeJS.Timeout | undefined;
			const pump = () => {
				clearTimeout(idle);
				while (sent < limit) {
					sent += chunk.length;
					if (!socket.write(chunk)) break;
				}
				idle = setTimeout(blocked, 300);
			};
			socket.on("drain", pump);
			socket.once("close", () => clearTimeout(idle));
			pump();
		});
		await using node = await relayNode();
		const before = process.memoryUsage().rss;
		const connection = await connected(dial(node, await node.add(peer)));
		connection.pause();
		await stalled;
		expect(sent).toBeLessThan(64 * 1024 * 1024);
		expect(process.memoryUsage().rss - before).toBeLessThan(64 * 1024 * 1024);
		connection.terminate();
		await peer.idle();
	});

	it("ends when its peer's pin goes, though it was still being opened then", async () => {
		const { promise: asked, resolve: ask } = Promise.withResolvers<{ socket: TLSSocket; headers: Headers }>();
		await using peer = await hostilePeer(undefined, {
			onUpgrade: (_head, socket, headers) => ask({ socket, headers }),
		});
		await using node = await relayNode();
		const id = await node.add(peer);
		const dialling = dial(node, id);
		const { socket, headers } = await asked;
		const ended = new Promise<void>((resolve) => {
			socket.once("close", () => resolve());
		});
		expect((await node.fetch(`/api/peers/${id}/pin`, { method: "DELETE" })).status).toBe(204);
		socket.write(switching(acceptOf(headers)));
		await ended;
		expect(await refusal(dialling)).toMatchObject({ code: closeCodes.unavailable, error: "upstream_error", relay: 1 });
		expect(upgrades(peer)).toHaveLength(1);
	});

	it("ends on both sides, whichever goes first", async () => {
		let cut: () => void = () => {};
		await using peer = await socketPeer((socket) => {
			cut = () => socket.destroy();
		});
		await using node = await relayNode();
		const id = await node.add(peer);
		const first = await connected(dial(node, id));
		const closed = closeOf(first);
		cut();
		expect((await closed).code).toBe(1006);
		const second = await connected(dial(node, id));
		second.terminate();
		await peer.idle();
		const third = await connected(dial(node, id));
		const signedOut = closeOf(third);
		expect(node.listener.disconnect(({ kind }) => kind === "device", closeCodes.signIn, "")).toBe(1);
		expect((await signedOut).code).toBe(1006);
		await peer.idle();
		await expect.poll(() => node.listener.webSocketCount).toBe(0);
	});
});

describe("a relayed WebSocket under a pin that changed", () => {
	it.each([
		["forgotten", "DELETE", "/pin", undefined],
		["set anew", "PUT", "/pin", { fingerprint: "ab".repeat(32) }],
		["gone with its peer", "DELETE", "", undefined],
	])("is cut: %s", async (_how, method, path, body) => {
		await using peer = await echo();
		await using node = await relayNode();
		const id = await node.add(peer);
		const connection = await connected(dial(node, id));
		const closed = closeOf(connection);
		await node.fetch(`/api/peers/${id}${path}`, {
			method,
			...(body === undefined ? {} : { headers: { "content-type": "application/json" }, body: JSON.stringify(body) }),
		});
		expect((await closed).code).toBe(1006);
		await peer.idle();
	});
});

describe("the peer's 101 is validated", () => {
	const answers: [string, (headers: Headers) => string][] = [
		["a wrong accept key", () => switching("AAAAAAAAAAAAAAAAAAAAAAAAAAA=")],
		["no accept key", (headers) => switching(acceptOf(headers)).replace(/Sec-WebSocket-Accept.*\r\n/, "")],
		["two accept keys", (headers) => switching(acceptOf(headers), `Sec-WebSocket-Accept: ${acceptOf(headers)}\r\n`)],
		["an extension", (headers) => switching(acceptOf(headers), "Sec-WebSocket-Extensions: permessage-deflate\r\n")],
		["another subprotocol", (headers) => switching(acceptOf(headers), "Sec-WebSocket-Protocol: evil\r\n")],
		["another protocol", (headers) => switching(acceptOf(headers)).replace("Upgrade: websocket", "Upgrade: h2c")],
		["rubbish", () => "SSH-2.0-OpenSSH\r\n\r\n"],
	];
	it.each(answers)("%s is refused, and no byte of the peer's passes", async (_name, answer) => {
		await using peer = await hostilePeer(undefined, {
			onUpgrade: (_head, socket, headers) => socket.write(`${answer(headers)}\x81\x04evil`),
		});
		await using node = await relayNode();
		const refused = await refusal(dial(node, await node.add(peer)));
		expect(refused).toMatchObject({ code: closeCodes.unavailable, error: "upstream_error", relay: 1 });
		await peer.idle();
	});
});

describe("a refused WebSocket", () => {
	it.each([
		[401, closeCodes.signIn],
		[403, closeCodes.forbidden],
		[404, closeCodes.unknown],
		[302, closeCodes.unavailable],
		[500, closeCodes.unavailable],
		[200, closeCodes.unavailable],
	])("by the peer with %i closes %i, without the relay's mark", async (status, code) => {
		await using peer = await hostilePeer(undefined, {
			onUpgrade: (_head, socket) =>
				socket.end(`HTTP/1.1 ${status} X\r\nLocation: https://evil.example/\r\nContent-Length: 0\r\n\r\n`),
		});
		await using node = await relayNode();
		const refused = await refusal(dial(node, await node.add(peer)));
		expect(refused.code).toBe(code);
		expect(refused.relay).toBeUndefined();
	});

	it("by this node carries the relay's mark only where the relay speaks", async () => {
		await using peer = await echo();
		await using node = await relayNode();
		const id = await node.add(peer);
		const unauthorized = await refusal(dial(node, id, "main", { headers: { authorization: "Bearer wrong" } }));
		expect(unauthorized).toMatchObject({ code: closeCodes.signIn, error: "unauthorized" });
		expect(unauthorized.relay).toBeUndefined();
		expect(await refusal(dial(node, "nobody"))).toMatchObject({
			code: closeCodes.unknown,
			error: "unknown_peer",
			relay: 1,
		});
		const headers = { authorization: "Bearer me", "x-warren-hops": "4" };
		expect(await refusal(dial(node, id, "main", { headers }))).toMatchObject({ error: "too_many_hops", relay: 1 });
		const script = { authorization: "Bearer me", "sec-fetch-dest": "script" };
		expect(await refusal(dial(node, id, "main", { headers: script }))).toMatchObject({
			code: closeCodes.forbidden,
			error: "relay_refused",
		});
		for (const dest of ["websocket", "empty"]) {
			const browser = { authorization: "Bearer me", "sec-fetch-dest": dest, "sec-fetch-site": "same-origin" };
			await (await connected(dial(node, id, "main", { headers: browser }))).close();
		}
	});

	it("because of another certificate reaches the peer with no byte", async () => {
		await using peer = await echo();
		await using node = await relayNode();
		const id = await node.add(peer);
		await peer.reinstall();
		const before = [peer.requests.length, peer.received().length];
		expect(await refusal(dial(node, id))).toMatchObject({
			code: closeCodes.forbidden,
			error: "pin_mismatch",
			relay: 1,
		});
		await peer.idle();
		expect([peer.requests.length, peer.received().length]).toEqual(before);
	});

	it("because the peer is away says so, and to come back", async () => {
		const peer = await echo();
		await using node = await relayNode();
		const id = await node.add(peer);
		await peer.close();
		expect(await refusal(dial(node, id))).toMatchObject({
			code: closeCodes.unavailable,
			error: "upstream_error",
			relay: 1,
		});
	});

	it("because the peer never answers ends at its limit, and leaves nothing open", async () => {
		let asked: () => void = () => {};
		const arrived = new Promise<void>((resolve) => {
			asked = resolve;
		});
		await using peer = await hostilePeer(undefined, { onUpgrade: () => asked() });
		const clock = new VirtualClock();
		await using node = await relayNode(clock);
		const refused = refusal(dial(node, await node.add(peer)));
		await arrived;
		await clock.advance(spliceLimits.handshakeMs);
		expect(await refused).toMatchObject({ code: closeCodes.unavailable, error: "upstream_error" });
		await peer.idle();
	});

	it("because its client left while the peer was asked leaves nothing open at the peer", async () => {
		let asked: () => void = () => {};
		const arrived = new Promise<void>((resolve) => {
			asked = resolve;
		});
		await using peer = await hostilePeer(undefined, { onUpgrade: () => asked() });
		await using node = await relayNode();
		const id = await node.add(peer);
		const client = await RawClient.open({ port: node.port });
		client.send(
			`GET /r/${id}/ws/x HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer me\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
		);
		await arrived;
		client.socket.destroy();
		await peer.idle();
	});
});
