import { once } from "node:events";
import { type IncomingMessage, request } from "node:http";
import {
	type ClientHttp2Session,
	type ClientHttp2Stream,
	connect,
	constants,
	createServer,
	type IncomingHttpHeaders,
	type OutgoingHttpHeaders,
	performServerHandshake,
	type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { Lifetime } from "@warren/kernel";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { answer, TestBackbone } from "../backbone.testing.ts";
import { flags, frame, frameTypes, RawHttp2, requestFields } from "./http2/raw-frames.testing.ts";

let backbone: TestBackbone;
let lifetime: Lifetime;
beforeEach(async () => {
	backbone = await TestBackbone.open();
	lifetime = new Lifetime();
});
afterEach(async () => {
	await lifetime.close();
	await backbone[Symbol.asyncDispose]();
});

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** A service that speaks HTTP/2 without TLS. */
async function rpc(handler: Handler): Promise<void> {
	const server = createServer();
	const sessions = new Set<{ destroy(): void }>();
	server.on("session", (session) => sessions.add(session));
	server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
		stream.on("error", () => {});
		handler(stream, headers);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	lifetime.defer(() => {
		for (const session of sessions) session.destroy();
		server.close();
	});
	await backbone.agent("rpc", (server.address() as AddressInfo).port, { kind: "h2" });
}

/** Answers with the head, body and trailers that it got. */
const echoRpc: Handler = (stream, headers) => {
	let body = "";
	let trailers: IncomingHttpHeaders = {};
	stream.on("trailers", (received: IncomingHttpHeaders) => (trailers = received));
	stream.setEncoding("latin1").on("data", (piece: string) => (body += piece));
	stream.on("end", () => {
		if (stream.destroyed) return;
		stream.respond({ ":status": 200 });
		stream.end(JSON.stringify({ headers, body, trailers: { ...trailers } }));
	});
};

/** The JSON within a chunked answer. */
const within = (text: string) => JSON.parse(text.slice(text.indexOf("{"), text.lastIndexOf("}") + 1));

const get = (lines = "", target = "/") =>
	`GET ${target} HTTP/1.1\r\nHost: rpc.mos.test\r\nConnection: close\r\n${lines}\r\n`;

describe("P2: a client of HTTP/1.1 at a service that speaks HTTP/2", () => {
	it("I2 I3 I4: arrives as who it is, without what is of one hop, forged or ours", async () => {
		await rpc(echoRpc);
		const { id, credential } = await backbone.principal("rpc");
		const text = await backbone.raw(
			`GET /a?b=1 HTTP/1.1\r\nHost: rpc.mos.test\r\nConnection: close, x-hop, TE\r\nX-Hop: 1\r\nKeep-Alive: 1\r\n` +
				`TE: gzip, trailers\r\nX_Mosb.Sub: forged\r\nX-Real-IP: 1.2.3.4\r\nCookie: a=1\r\nCookie: b=2\r\n` +
				`X-Twice: one\r\nX-Twice: two\r\nx-backbone-principal: ${credential}\r\n\r\n`,
		);
		expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n/);
		expect(text).toMatch(/\r\ntransfer-encoding: chunked\r\n/);
		expect(text.endsWith("\r\n0\r\n\r\n")).toBe(true);
		const { headers } = within(text);
		expect(headers).toMatchObject({
			":method": "GET",
			":path": "/a?b=1",
			":authority": "rpc.mos.test",
			"x-mosb-sub": id,
			"x-mosb-name": "Ada",
			"x-forwarded-for": "127.0.0.1",
			te: "trailers",
			cookie: "a=1; b=2",
			"x-twice": "one, two",
		});
		const names = Object.keys(headers).filter((name) => !name.startsWith(":"));
		expect(names.filter((name) => /hop|keep-alive|connection|real-ip|backbone|^x_/.test(name))).toEqual([]);
	});

	it("is served one request after another on one connection, by Content-Length, HEAD and 204 too", async () => {
		await rpc((stream, headers) => {
			const path = headers[":path"];
			if (path === "/none") return void stream.respond({ ":status": 204 }, { endStream: true });
			stream.respond({ ":status": 200, "content-length": 5, "set-cookie": ["a=1", "b=2"] });
			stream.end(headers[":method"] === "HEAD" ? undefined : "hello");
		});
		using client = await backbone.client();
		const ask = (line: string) => client.send(`${line} HTTP/1.1\r\nHost: rpc.mos.test\r\n\r\n`);
		ask("GET /");
		ask("HEAD /");
		ask("GET /none");
		client.send(get());
		const text = await client.closed();
		expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(["HTTP/1.1 200", "HTTP/1.1 200", "HTTP/1.1 204", "HTTP/1.1 200"]);
		expect(text.match(/content-length: \d+/g)).toEqual(["content-length: 5", "content-length: 5", "content-length: 5"]);
		expect(text.match(/hello/g)).toHaveLength(2);
		expect(text.match(/set-cookie: [ab]=[12]\r\n/g)).toHaveLength(8 - 2);
	});

	it("I5: trailers pass both ways, without fields of ours", async () => {
		await rpc((stream) => {
			let trailers: IncomingHttpHeaders = {};
			let body = "";
			stream.on("trailers", (received: IncomingHttpHeaders) => (trailers = received));
			stream.setEncoding("latin1").on("data", (piece: string) => (body += piece));
			stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-mosb-sub": "forged" }));
			stream.on("end", () => {
				stream.respond({ ":status": 200, trailer: "grpc-status", "content-length": 4 }, { waitForTrailers: true });
				stream.end(Object.keys(trailers).join() === "x-sum" && body === "hello world" ? "good" : "bad!");
			});
		});
		const text = await backbone.raw(
			`POST / HTTP/1.1\r\nHost: rpc.mos.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n` +
				"5\r\nhello\r\n6\r\n world\r\n0\r\nx-sum: 1\r\nX_Mosb_Sub: forged\r\nHost: no\r\n\r\n",
		);
		expect(text).toMatch(/\r\n\r\n4\r\ngood\r\n0\r\ngrpc-status: 0\r\n\r\n$/);
		expect(text).not.toMatch(/content-length|forged/i);
	});

	it("of HTTP/1.0 learns the end by the connection's", async () => {
		await rpc((stream) => {
			stream.respond({ ":status": 200 });
			stream.end("hello");
		});
		const text = await backbone.raw("GET / HTTP/1.0\r\nHost: rpc.mos.test\r\n\r\n");
		expect(text).toMatch(/^HTTP\/1\.1 200 OK\r\n[\s\S]*connection: close\r\n\r\nhello$/);
		expect(text).not.toMatch(/chunked/);
	});

	it("streams: a piece is there before the next is made, both ways, and 100 Continue is passed on", async () => {
		await rpc((stream, headers) => {
			if (headers.expect === "100-continue") stream.additionalHeaders({ ":status": 100 });
			stream.respond({ ":status": 200 });
			stream.on("data", (bytes: Buffer) => stream.write(`got ${bytes.toString()}.`));
			stream.on("end", () => stream.end());
		});
		using client = await backbone.client();
		client.send("POST / HTTP/1.1\r\nHost: rpc.mos.test\r\nExpect: 100-continue\r\nTransfer-Encoding: chunked\r\n\r\n");
		await client.until(/^HTTP\/1\.1 100 Continue\r\n\r\n/);
		client.send("3\r\none\r\n");
		await client.until(/got one/);
		client.send("3\r\ntwo\r\n");
		await client.until(/got two/);
		client.send("0\r\n\r\n");
		await client.until(/\r\n0\r\n\r\n$/);
	});

	it("an answer that is cut, or is not as long as it said, breaks the connection", async () => {
		await rpc((stream, headers) => {
			const counted = headers[":path"] === "/counted";
			stream.respond({ ":status": 200, ...(counted ? { "content-length": 10 } : {}) });
			stream.write("first");
			stream.once("data", () => stream.close(constants.NGHTTP2_INTERNAL_ERROR));
		});
		for (const path of ["/", "/counted"]) {
			using client = await backbone.client();
			client.send(`POST ${path} HTTP/1.1\r\nHost: rpc.mos.test\r\nTransfer-Encoding: chunked\r\n\r\n`);
			await client.until(/first/);
			client.send("1\r\nx\r\n");
			expect(await client.closed()).not.toMatch(/\r\n0\r\n/);
		}
	});

	it("a body that is broken off, malformed or too long never looks whole to the service", async () => {
		const seen: string[] = [];
		let heard = () => {};
		const note = (what: string) => {
			seen.push(what);
			heard();
		};
		const until = async (what: string, times: number) => {
			while (seen.filter((each) => each === what).length < times)
				await new Promise<void>((resolve) => (heard = resolve));
		};
		await rpc((stream) => {
			stream.on("data", (bytes: Buffer) => note(bytes.toString()));
			stream.on("end", () => note(stream.aborted ? "broken" : "whole"));
			stream.on("close", () => note(stream.rstCode === constants.NGHTTP2_NO_ERROR ? "closed" : "reset"));
		});
		const head = "POST / HTTP/1.1\r\nHost: rpc.mos.test\r\nTransfer-Encoding: chunked\r\n\r\n3\r\none\r\n";
		using left = await backbone.client();
		left.send(head);
		await until("one", 1);
		left.socket.end();
		await until("reset", 1);
		using extended = await backbone.client();
		extended.send(head);
		await until("one", 2);
		extended.send("3;a=b\r\ntwo\r\n0\r\n\r\n");
		expect(await extended.closed()).toMatch(/^HTTP\/1\.1 400/);
		await until("reset", 2);
		expect(seen.filter((each) => each === "whole" || each === "two" || each === "closed")).toEqual([]);
	});

	const upgrade =
		"Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n";

	it("P2: a WebSocket reaches a target that takes HTTP/1.1 on the same port, with the identity that is its caller's", async () => {
		const seen: string[] = [];
		const { port } = await backbone.tcp((socket) =>
			socket.once("data", (first: Buffer) => {
				socket.pause().unshift(first);
				if (first.toString("latin1").startsWith("PRI ")) {
					performServerHandshake(socket).on("stream", (stream) => {
						stream.respond({ ":status": 200 });
						stream.end("over HTTP/2");
					});
					return;
				}
				socket.on("data", (bytes: Buffer) => {
					const text = bytes.toString("latin1");
					if (!text.includes("HTTP/1.1")) return socket.write(`heard ${text}`);
					seen.push(text);
					const isRefused = text.startsWith("GET /none");
					socket.write(
						isRefused
							? "HTTP/1.1 404 Not Found\r\nContent-Length: 4\r\n\r\nnone"
							: "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ICX+Yqv66kxgM0FcWaLWlFLwTAI=\r\n\r\n",
					);
				});
				socket.resume();
			}),
		);
		await backbone.agent("rpc", port, { kind: "h2" });
		const { id, credential } = await backbone.principal("rpc");
		const head = (path: string) =>
			`GET ${path} HTTP/1.1\r\nHost: rpc.mos.test\r\nx-mosb-sub: somebody\r\nx-backbone-principal: ${credential}\r\n${upgrade}\r\n`;
		using client = await backbone.client();
		client.send(head("/live"));
		await client.until(/^HTTP\/1\.1 101[\s\S]*\r\n\r\n/);
		client.send("frames");
		await client.until(/heard frames/);
		expect(seen[0]?.match(/^x-mosb-sub: .*$/gim)).toEqual([`x-mosb-sub: ${id}`]);
		// One that the service refuses is answered as it says, and its connection carries nothing else.
		using refused = await backbone.client();
		refused.send(head("/none"));
		await refused.until(/^HTTP\/1\.1 404[\s\S]*none$/);
		expect(await backbone.raw(get())).toMatch(/^HTTP\/1\.1 200[\s\S]*over HTTP\/2/);
	});

	it("P2: a target that speaks HTTP/2 alone takes no WebSocket, and the client is told at once", async () => {
		await rpc(echoRpc);
		const closing = await backbone.tcp((socket) => socket.once("data", () => socket.end()));
		await backbone.agent("closing", closing.port, { kind: "h2" });
		const resetting = await backbone.tcp((socket) => socket.once("data", () => socket.resetAndDestroy()));
		await backbone.agent("resetting", resetting.port, { kind: "h2" });
		// It says its SETTINGS and waits: nothing ends it.
		const patient = await backbone.tcp((socket) => socket.write(Buffer.from("000000040000000000", "hex")));
		await backbone.agent("patient", patient.port, { kind: "h2" });
		for (const service of ["rpc", "closing", "resetting", "patient"]) {
			using client = await backbone.client();
			client.send(`GET / HTTP/1.1\r\nHost: ${service}.mos.test\r\n${upgrade}\r\n`);
			expect(await client.closed(), service).toMatch(/^HTTP\/1\.1 505[\s\S]*WebSocket/);
		}
	});

	it("whoever comes without an agent is told so, and so is whoever finds no HTTP/2 behind it", async () => {
		await backbone.token("rpc", "h2");
		expect(await backbone.raw(get())).toMatch(/^HTTP\/1\.1 503[\s\S]*Retry-After/i);
		expect(await backbone.raw(get(upgrade))).toMatch(/^HTTP\/1\.1 503[\s\S]*Retry-After/i);
		const { port } = await backbone.tcp((socket) => socket.destroy());
		await backbone.agent("rpc", port, { kind: "h2" });
		expect(await backbone.raw(get())).toMatch(/^HTTP\/1\.1 502/);
	});

	it("I10 limits: identity, bodies and rates are judged as anywhere", async () => {
		await rpc(echoRpc);
		const set = (settings: object) => backbone.api("PATCH", "/admin/api/services/rpc", { body: { settings } });
		await set({ require_identity: true });
		expect(await backbone.raw(get())).toMatch(/^HTTP\/1\.1 401/);
		expect(await backbone.raw(get("x-backbone-principal: nonsense\r\n"))).toMatch(/^HTTP\/1\.1 401/);
		await set({ require_identity: false, max_body_bytes: 4 });
		const long = "POST / HTTP/1.1\r\nHost: rpc.mos.test\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n";
		expect(await backbone.raw(long)).toMatch(/^HTTP\/1\.1 413/);
		expect(await backbone.raw(get("Content-Length: 0\r\nTransfer-Encoding: chunked\r\n"))).toMatch(/^HTTP\/1\.1 400/);
	});

	it("I7: an answer under way is cut with its grant, and the service hears of it", async () => {
		const left = Promise.withResolvers<number | undefined>();
		await rpc((stream) => {
			stream.respond({ ":status": 200 });
			stream.write("first");
			stream.on("close", () => left.resolve(stream.rstCode));
		});
		const { id, credential } = await backbone.principal("rpc");
		using client = await backbone.client();
		client.send(`GET / HTTP/1.1\r\nHost: rpc.mos.test\r\nx-backbone-principal: ${credential}\r\n\r\n`);
		await client.until(/first/);
		await backbone.api("DELETE", `/admin/api/grants/${id}/rpc`);
		expect(await client.closed()).not.toMatch(/\r\n0\r\n/);
		expect(await left.promise).toBe(constants.NGHTTP2_CANCEL);
	});

	it("16 MB pass both ways, byte for byte", async () => {
		await rpc((stream) => {
			stream.respond({ ":status": 200 });
			stream.pipe(stream);
		});
		const body = Buffer.alloc(16 * 1024 * 1024, "0123456789abcdef");
		const came = await new Promise<Buffer>((resolve, reject) => {
			const asked = request(
				{ port: backbone.port, host: "127.0.0.1", method: "POST", headers: { host: "rpc.mos.test" } },
				(got: IncomingMessage) => {
					const pieces: Buffer[] = [];
					got.on("data", (piece: Buffer) => pieces.push(piece));
					got.on("end", () => resolve(Buffer.concat(pieces)));
				},
			);
			asked.on("error", reject);
			for (let at = 0; at < body.length; at += 1_000_000) asked.write(body.subarray(at, at + 1_000_000));
			asked.end();
		});
		expect(came.equals(body)).toBe(true);
	});
});

// ── the other way ──

function session(): ClientHttp2Session {
	const opened = connect(`http://127.0.0.1:${backbone.port}`);
	opened.on("error", () => {});
	lifetime.defer(() => opened.destroy());
	return opened;
}

function ask(on: ClientHttp2Session, headers: OutgoingHttpHeaders = {}, endStream = true): ClientHttp2Stream {
	const stream = on.request(
		{ ":path": "/", ":authority": "web.mos.test", ...headers },
		{ endStream, waitForTrailers: !endStream },
	);
	stream.on("error", () => {});
	return stream;
}

async function answerOf(stream: ClientHttp2Stream) {
	const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders & { ":status": number }];
	let trailers: IncomingHttpHeaders = {};
	stream.on("trailers", (received: IncomingHttpHeaders) => (trailers = received));
	let body = "";
	stream.setEncoding("latin1");
	for await (const piece of stream) body += piece;
	return { status: headers[":status"], headers, body, trailers: { ...trailers } };
}

/** Answers with the head, body and trailers that it got. */
async function web(): Promise<void> {
	const { port } = await backbone.http((request, response) => {
		let body = "";
		request.setEncoding("latin1").on("data", (piece: string) => (body += piece));
		request.on("end", () =>
			response.end(
				JSON.stringify({
					...{ method: request.method, url: request.url, raw: request.rawHeaders, body },
					...{ headers: request.headers, trailers: request.trailers },
				}),
			),
		);
	});
	await backbone.agent("web", port);
}

describe("P2: a client of HTTP/2 at a service that speaks HTTP/1.1", () => {
	it("I2 I3: arrives as who it is, once, without what is forged or ours", async () => {
		await web();
		const { id, credential } = await backbone.principal("web");
		const got = await answerOf(
			ask(session(), {
				":path": "/a?b=1",
				"x-backbone-principal": credential,
				"x-mosb-sub": "forged",
				x_mosb_name: "forged",
				"x-real-ip": "1.2.3.4",
				te: "trailers",
				cookie: ["a=1", "b=2"],
			}),
		);
		expect(got.status).toBe(200);
		const seen = JSON.parse(got.body);
		expect(seen).toMatchObject({ method: "GET", url: "/a?b=1" });
		expect(seen.headers).toMatchObject({
			host: "web.mos.test",
			"x-mosb-sub": id,
			"x-mosb-name": "Ada",
			"x-forwarded-for": "127.0.0.1",
			cookie: "a=1; b=2",
		});
		expect(seen.raw.filter((each: string) => each.toLowerCase() === "x-mosb-sub")).toHaveLength(1);
		expect(got.body).not.toMatch(/forged|1\.2\.3\.4|x-backbone|transfer-encoding/i);
		expect(got.headers).not.toHaveProperty("connection");
	});

	it("I5: a body without a length travels in chunks, and trailers with it; one with a length by its length", async () => {
		await web();
		const on = session();
		const stream = ask(on, { ":method": "POST" }, false);
		stream.on("wantTrailers", () => stream.sendTrailers({ "x-sum": "1", "x-mosb-sub": "forged", host: "no" }));
		stream.write("hello");
		stream.end(" world");
		const got = JSON.parse((await answerOf(stream)).body);
		expect(got).toMatchObject({ body: "hello world", trailers: { "x-sum": "1" } });
		expect(got.headers).toMatchObject({ "transfer-encoding": "chunked" });
		expect(Object.keys(got.trailers)).toEqual(["x-sum"]);
		const counted = ask(on, { ":method": "POST", "content-length": "5" }, false);
		counted.on("wantTrailers", () => counted.sendTrailers({}));
		counted.end("hello");
		const by = JSON.parse((await answerOf(counted)).body);
		expect([by.body, by.headers["content-length"], by.headers["transfer-encoding"]]).toEqual(["hello", "5", undefined]);
		const empty = JSON.parse((await answerOf(ask(on, { ":method": "POST" }))).body);
		expect(empty.headers["content-length"]).toBe("0");
	});

	it("an answer ends as it was: counted, in chunks with trailers, with its connection, without a body", async () => {
		const { port } = await backbone.tcp((socket) =>
			socket.on("data", (bytes) => {
				const line = bytes.toString("latin1");
				if (line.startsWith("HEAD")) socket.write("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n");
				else if (line.startsWith("GET /close")) socket.end("HTTP/1.1 200 OK\r\n\r\nuntil the end");
				else if (line.startsWith("GET /chunks"))
					socket.write(
						"HTTP/1.1 103 Early Hints\r\nLink: x\r\n\r\nHTTP/1.1 200 OK\r\nSet-Cookie: a\r\nSet-Cookie: b\r\n" +
							"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\ngrpc-status: 0\r\nX-Mosb-Sub: forged\r\n\r\n",
					);
				else socket.write(answer("hello"));
			}),
		);
		await backbone.agent("web", port);
		const on = session();
		expect(await answerOf(ask(on))).toMatchObject({ status: 200, body: "hello", headers: { "content-length": "5" } });
		expect(await answerOf(ask(on, { ":path": "/chunks" }))).toMatchObject({
			body: "hello",
			headers: { "set-cookie": ["a", "b"] },
			trailers: { "grpc-status": "0" },
		});
		expect((await answerOf(ask(on, { ":path": "/close" }))).body).toBe("until the end");
		expect(await answerOf(ask(on, { ":method": "HEAD" }))).toMatchObject({ status: 200, body: "" });
	});

	it("an answer that is cut, or is no HTTP, never ends cleanly; a switch of protocols is 502", async () => {
		const { port } = await backbone.tcp((socket) =>
			socket.on("data", (bytes) => {
				const line = bytes.toString("latin1");
				if (line.startsWith("GET /switch"))
					socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n");
				else if (line.startsWith("GET /nonsense")) socket.write("SSH-2.0-x\r\n\r\n");
				else socket.end("HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhello");
			}),
		);
		await backbone.agent("web", port);
		const on = session();
		expect((await answerOf(ask(on, { ":path": "/switch" }))).status).toBe(502);
		expect((await answerOf(ask(on, { ":path": "/nonsense" }))).status).toBe(502);
		const stream = ask(on);
		stream.resume();
		await new Promise((resolve) => stream.once("close", resolve));
		expect(stream.rstCode).not.toBe(constants.NGHTTP2_NO_ERROR);
	});

	it("a body that its client breaks off never looks whole to the service", async () => {
		let all = "";
		const first = Promise.withResolvers<void>();
		const gone = Promise.withResolvers<void>();
		const { port } = await backbone.tcp((socket) => {
			socket.on("data", (bytes) => {
				all += bytes.toString("latin1");
				if (all.includes("hello")) first.resolve();
			});
			socket.on("close", () => gone.resolve());
			socket.on("end", () => socket.destroy());
		});
		await backbone.agent("web", port);
		const stream = ask(session(), { ":method": "POST" }, false);
		stream.on("wantTrailers", () => stream.sendTrailers({}));
		stream.write("hello");
		await first.promise;
		stream.close(constants.NGHTTP2_CANCEL);
		await gone.promise;
		expect(all).toMatch(/5\r\nhello\r\n$/);
	});

	it("I6: two credentials, or one that is malformed, are 401; bodies above the limit 413; a TCP service 505", async () => {
		await web();
		const { credential } = await backbone.principal("web");
		const on = session();
		for (const value of [[credential, credential], `${credential},${credential}`, "", "mosb_pr_"])
			expect((await answerOf(ask(on, { "x-backbone-principal": value }))).status).toBe(401);
		await backbone.api("PATCH", "/admin/api/services/web", { body: { settings: { max_body_bytes: 4 } } });
		const long = ask(on, { ":method": "POST" }, false);
		long.on("wantTrailers", () => long.sendTrailers({}));
		long.end("hello");
		expect((await answerOf(long)).status).toBe(413);
		await backbone.token("db", "tcp");
		expect((await answerOf(ask(on, { ":authority": "db.mos.test" }))).status).toBe(505);
		expect((await answerOf(ask(on, { ":authority": "nobody.mos.test" }))).status).toBe(404);
	});

	it("I7: an answer under way is cut with its grant, and the service hears of it", async () => {
		const left = Promise.withResolvers<void>();
		const { port } = await backbone.http((_request, response) => {
			response.write("first");
			response.on("close", () => left.resolve());
		});
		await backbone.agent("web", port);
		const { id, credential } = await backbone.principal("web");
		const stream = ask(session(), { "x-backbone-principal": credential });
		const closed = new Promise((resolve) => stream.once("close", resolve));
		await once(stream, "data");
		await backbone.api("DELETE", `/admin/api/grants/${id}/web`);
		await closed;
		expect(stream.rstCode).toBe(constants.NGHTTP2_CANCEL);
		await left.promise;
	});

	it("is recorded by the inspector, both ways, and asked of another agent where that does no harm", async () => {
		await web();
		await rpc(echoRpc);
		for (const name of ["web", "rpc"])
			await backbone.api("PATCH", `/admin/api/services/${name}`, { body: { settings: { inspect: true } } });
		const on = session();
		const upload = ask(on, { ":method": "POST" }, false);
		upload.on("wantTrailers", () => upload.sendTrailers({}));
		upload.end("hello");
		expect((await answerOf(upload)).status).toBe(200);
		await backbone.raw(
			"POST / HTTP/1.1\r\nHost: rpc.mos.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
		);
		for (const name of ["web", "rpc"]) {
			const list = async () => (await backbone.api("GET", `/admin/api/services/${name}/requests`)).json.requests;
			await expect.poll(async () => (await list()).length).toBe(1);
			expect((await list())[0]).toMatchObject({ method: "POST", status: 200, request_bytes: 5 });
		}
		const dead = await backbone.tcp((socket) => socket.destroy());
		await backbone.agent("web", dead.port);
		for (let each = 0; each < 6; each++) expect((await answerOf(ask(on))).status).toBe(200);
		const post = ask(on, { ":method": "POST" });
		expect([200, 502]).toContain((await answerOf(post)).status);
	});

	it("many streams at once are served over links of their own, and those serve the next ones", async () => {
		await web();
		const on = session();
		for (let round = 0; round < 3; round++) {
			const all = await Promise.all(
				Array.from({ length: 40 }, (_, each) => answerOf(ask(on, { ":path": `/${round}-${each}` }))),
			);
			expect(all.map(({ body }) => JSON.parse(body).url)).toEqual(all.map((_, each) => `/${round}-${each}`));
		}
	});

	it("a reader that stands holds its own service back", async () => {
		let written = 0;
		let stood = () => {};
		const { port } = await backbone.http((request, response) => {
			if (request.url === "/small") return void response.end("small");
			const more = (): void => {
				while (written < 256 * 1024 * 1024) {
					written += 65_536;
					if (!response.write(Buffer.alloc(65_536))) return void response.once("drain", more);
				}
				response.end();
			};
			more();
			stood();
		});
		await backbone.agent("web", port);
		const on = session();
		const began = new Promise<void>((resolve) => (stood = resolve));
		const slow = ask(on, { ":path": "/large" });
		slow.pause();
		await began;
		for (let each = 0; each < 20; each++) expect((await answerOf(ask(on, { ":path": "/small" }))).body).toBe("small");
		expect(written).toBeLessThan(128 * 1024 * 1024);
		slow.close(constants.NGHTTP2_CANCEL);
	});

	it("interim answers without end hold their own service back, or are passed on no further", async () => {
		let written = 0;
		const hints = Buffer.from("HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n".repeat(1200));
		const { port } = await backbone.tcp((socket) =>
			socket.on("data", (bytes) => {
				const line = bytes.toString("latin1");
				if (line.startsWith("GET /small")) return void socket.write(answer("small"));
				if (line.startsWith("GET /many")) return void socket.write(`${hints.toString()}${answer("over")}`);
				const more = (): void => {
					while (written < 256 * 1024 * 1024) {
						written += hints.length;
						if (!socket.write(hints)) return void socket.once("drain", more);
					}
				};
				more();
			}),
		);
		await backbone.agent("web", port);
		using slow = await backbone.client();
		slow.send("GET /endless HTTP/1.1\r\nHost: web.mos.test\r\n\r\n");
		await slow.until(/103 Early Hints/);
		slow.socket.pause();
		const on = session();
		for (let before = -1; before !== written; ) {
			before = written;
			for (let each = 0; each < 20; each++) expect((await answerOf(ask(on, { ":path": "/small" }))).body).toBe("small");
		}
		expect(written).toBeLessThan(128 * 1024 * 1024);

		let interims = 0;
		const many = ask(on, { ":path": "/many" }).on("headers", () => (interims += 1));
		expect((await answerOf(many)).body).toBe("over");
		expect(interims).toBe(1000);
	});

	it("interim answers of a service that speaks HTTP/2 are passed on, up to a thousand", async () => {
		await rpc((stream) => {
			for (let each = 0; each < 1200; each++) stream.additionalHeaders({ ":status": 103 });
			stream.respond({ ":status": 200 });
			stream.end("over");
		});
		const text = await backbone.raw("GET / HTTP/1.1\r\nHost: rpc.mos.test\r\nConnection: close\r\n\r\n");
		expect(text).toMatch(/over\r\n0\r\n\r\n$/);
		expect(text.match(/103 Early Hints/g)).toHaveLength(1000);
		let interims = 0;
		const asked = session().request({ ":path": "/", ":authority": "rpc.mos.test" });
		asked.on("headers", () => (interims += 1));
		expect((await answerOf(asked)).body).toBe("over");
		expect(interims).toBe(1000);
	});

	it("fields of one hop, which no library sends, are malformed: nothing of them reaches the service", async () => {
		const seen: string[] = [];
		const { port } = await backbone.http((asked, response) => {
			seen.push([asked.method, asked.url, ...asked.rawHeaders].join(" "));
			response.end("ok");
		});
		await backbone.agent("web", port);
		const bad: readonly (readonly [string, string])[] = [
			["transfer-encoding", "chunked"],
			["connection", "close"],
			["keep-alive", "1"],
			["upgrade", "websocket"],
			["x-smuggled", "a\r\nx-mosb-sub: forged"],
			["x-smuggled\r\nx-mosb-sub", "forged"],
			["X-Capital", "1"],
			["x:y", "1"],
			["host", "rpc.mos.test"],
			["content-length", "5"],
			["content-length", "0, 5"],
		];
		for (const field of bad) {
			using raw = await RawHttp2.open(backbone.port);
			const head = requestFields("web.mos.test", [field]);
			raw.send(frame(frameTypes.headers, flags.endStream | flags.endHeaders, 1, head));
			const answered = await raw.until(
				({ type, stream }) => (stream === 1 && type !== frameTypes.windowUpdate) || type === frameTypes.goAway,
			);
			// Reset, refused, or (a field that HTTP/2 itself drops) served without it.
			expect(answered, field.join(": ")).not.toBe(null);
		}
		expect((await answerOf(ask(session(), { ":path": "/good" }))).body).toBe("ok");
		expect(seen.at(-1)).toContain("GET /good");
		expect(seen.length).toBeLessThan(bad.length);
		for (const each of seen) expect(each).not.toMatch(/smuggled|mosb|chunked|keep-alive|upgrade|x:y|length|rpc/i);
	});
});
