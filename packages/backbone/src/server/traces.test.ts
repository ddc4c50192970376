import { createSocket } from "node:dgram";
import { once } from "node:events";
import { connect, createServer, type Http2Server, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { type SpanFacts, silentLogger, systemClock, type Tracer } from "@warren/kernel";
import { RawClient } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Forwarder } from "../agent/forwarder.ts";
import { adminToken, SharedState, TestBackbone } from "../backbone.testing.ts";

interface Begun {
	/** Which process it would be. */
	readonly of: string;
	readonly parent: string | undefined;
	readonly traceparent: string;
	facts: SpanFacts | null;
}

const spans: Begun[] = [];
let ended: (() => void)[] = [];
/** Keeps what was begun; each span is told apart by its number. */
const tracerOf = (of: string): Tracer => ({
	begin: (parent) => {
		const span: Begun = {
			...{ of, parent },
			traceparent: `00-${"a".repeat(32)}-${String(spans.length + 1).padStart(16, "0")}-01`,
			facts: null,
		};
		spans.push(span);
		return {
			traceparent: span.traceparent,
			end: (facts) => {
				span.facts ??= facts;
				for (const heard of ended.splice(0)) heard();
			},
		};
	},
});
const tracer = tracerOf("node");
const whenEnded = (span: Begun | undefined) =>
	new Promise<void>((resolve) => {
		const look = () => (span?.facts == null ? ended.push(look) : resolve());
		look();
	});

let backbone: TestBackbone;
let seen: (string | string[] | undefined)[];
beforeEach(async () => {
	spans.length = 0;
	ended = [];
	seen = [];
	backbone = await TestBackbone.open({}, undefined, { tracer });
	const { port } = await backbone.http((request, response) => {
		seen.push(request.headers["traceparent"]);
		if (request.url === "/cut") response.write("half", () => request.socket.destroy());
		else response.end("ok");
	});
	await backbone.agent("web", port);
	spans.length = 0;
});
afterEach(() => backbone[Symbol.asyncDispose]());

const client = `00-${"b".repeat(32)}-${"c".repeat(16)}-01`;
const ask = (path: string, extra = "") =>
	backbone.raw(`GET ${path} HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n${extra}\r\n`);

describe("a request to a service", () => {
	it("is a span of its own, and the service gets it as its parent, once, whatever the client spelled", async () => {
		await ask("/a?token=secret", `TraceParent: ${client}\r\n`);
		await whenEnded(spans[0]);
		expect(spans[0]?.parent).toBe(client);
		expect(seen).toEqual([spans[0]?.traceparent]);
		expect(spans[0]?.facts).toMatchObject({
			name: "GET service",
			status: 200,
			attributes: { "warren.service": "web" },
		});
		expect(JSON.stringify(spans[0]?.facts)).not.toContain("secret");
	});

	it("that is cut in the middle says so, and one without an agent says 503", async () => {
		await ask("/cut").catch(() => "");
		await whenEnded(spans[0]);
		expect(spans[0]?.facts?.attributes?.["error.type"]).toBe("aborted");
		await backbone.token("idle");
		await backbone.raw("GET / HTTP/1.1\r\nHost: idle.mos.test\r\nConnection: close\r\n\r\n");
		await whenEnded(spans[1]);
		expect(spans[1]?.facts?.status).toBe(503);
	});

	/** A service of kind `h2`, whose agent keeps spans as well. */
	async function rpc(): Promise<Http2Server> {
		const server = createServer();
		server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
			seen.push(headers["traceparent"]);
			stream.respond({ ":status": 200 });
			stream.end("ok");
		});
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		const { port } = server.address() as AddressInfo;
		await backbone.agent("rpc", port, { kind: "h2", tracer: tracerOf("agent") });
		spans.length = 0;
		return server;
	}

	async function askHttp2(authority: string): Promise<void> {
		const session = connect(`http://127.0.0.1:${backbone.backbone.port}`);
		try {
			const stream = session.request({ ":path": "/h2", ":authority": authority, traceparent: client });
			stream.resume();
			await once(stream, "end");
		} finally {
			session.close();
		}
	}

	/** From the client to the service: the backbone's span, which the agent's and the service's begin from. */
	async function expectOneWay(): Promise<void> {
		for (const span of spans) await whenEnded(span);
		const [node, agent] = spans;
		expect(spans.map(({ of }) => of)).toEqual(["node", "agent"]);
		expect([node?.parent, agent?.parent, seen]).toEqual([client, node?.traceparent, [node?.traceparent]]);
		expect(node?.facts).toMatchObject({ name: "GET service", status: 200 });
	}

	it("over HTTP/2 is one, too", async () => {
		const server = await rpc();
		await askHttp2("rpc.mos.test");
		server.close();
		await expectOneWay();
	});

	it("of HTTP/1.1 is one at a service that speaks HTTP/2, and nothing of it breaks on the way across", async () => {
		const server = await rpc();
		await backbone.raw(`GET / HTTP/1.1\r\nHost: rpc.mos.test\r\nConnection: close\r\nTraceParent: ${client}\r\n\r\n`);
		server.close();
		await expectOneWay();
	});

	it("of HTTP/2 is one at a service that speaks HTTP/1.1, and nothing of it breaks on the way across", async () => {
		const { port } = await backbone.http((request, response) => {
			seen.push(request.headers["traceparent"]);
			response.end("ok");
		});
		await backbone.agent("old", port, { tracer: tracerOf("agent") });
		spans.length = 0;
		await askHttp2("old.mos.test");
		await expectOneWay();
	});
});

describe("the way of a request", () => {
	const spanOf = (name: string) => spans.find((span) => span.of === name);

	it("L7: through a hop and an agent is one chain of spans; a connection that is used again makes none", async () => {
		await using shared = await SharedState.open();
		const nodeAt = (nodeId: string) =>
			TestBackbone.open({ nodeId, cluster: { url: null, ca: null } }, shared, { tracer: tracerOf(nodeId) });
		await using entry = await nodeAt("entry");
		await using other = await nodeAt("other");
		const { port } = await other.http((_request, response) => response.end("ok"));
		await other.agent("far", port, { tracer: tracerOf("agent"), token: await other.token("far") });
		// The route is known a moment later.
		const ask = async () => {
			const text = await RawClient.exchange(
				{ port: entry.port },
				`GET / HTTP/1.1\r\nHost: far.mos.test\r\nTraceparent: ${client}\r\nConnection: close\r\n\r\n`,
			);
			return Number(text.slice(9, 12));
		};
		await expect.poll(() => (spans.splice(0), ask())).toBe(200);
		for (const name of ["entry", "other", "agent"]) await whenEnded(spanOf(name));
		expect(spanOf("entry")?.parent).toBe(client);
		expect(spanOf("other")?.parent).toBe(spanOf("entry")?.traceparent);
		expect(spanOf("agent")?.parent).toBe(spanOf("other")?.traceparent);
		expect([spanOf("other")?.facts, spanOf("agent")?.facts]).toEqual([
			{ name: "hop service", attributes: { "warren.role": "backbone", "warren.service": "far" } },
			{ name: "connect service", attributes: { "warren.role": "agent" } },
		]);
		const before = spans.length;
		expect(await ask()).toBe(200);
		expect(spans.slice(before).map((span) => span.of)).toEqual(["entry"]);
	});

	const portOf = async (node: TestBackbone) =>
		((await node.api("GET", "/admin/api/services")).json as { services: { port: number }[] }).services[0]
			?.port as number;

	const entryHost = "127.0.0.2";

	/** An entry node, and another that has the agent of `far`. */
	async function withHop(
		kind: "h2" | "tcp" | "udp",
		port: number,
		work: (entry: TestBackbone, other: TestBackbone) => Promise<void>,
	): Promise<void> {
		await using shared = await SharedState.open();
		// Each node has an address of its own, because a service has the same port at each: below those that the system
		// gives out, which may be somebody's at all addresses.
		const first = 30_000 + (process.pid % 27) * 100;
		const nodeAt = (nodeId: string, host: string) =>
			TestBackbone.open({ nodeId, host, cluster: { url: null, ca: null }, streamPorts: [first, first + 99] }, shared, {
				tracer: tracerOf(nodeId),
			});
		await using entry = await nodeAt("entry", entryHost);
		await using other = await nodeAt("other", "127.0.0.1");
		await other.agent("far", port, { kind, tracer: tracerOf("agent"), token: await other.token("far", kind) });
		await work(entry, other);
	}
	/** The spans of the last of several tries: each from the first, which nobody began before. */
	const chainOf = async (agent: string) => {
		const last = spans.findLast((span) => span.of === agent);
		await whenEnded(last);
		const chain = [last];
		for (let at = last; at !== undefined; ) {
			at = spans.find((span) => span.traceparent === at?.parent);
			if (at !== undefined) chain.unshift(at);
		}
		return chain;
	};
	it("L7: over HTTP/2 it goes to the agent, too, with the request for which the connection is made", async () => {
		const server = createServer();
		server.on("stream", (stream: ServerHttp2Stream) => {
			stream.respond({ ":status": 200 });
			stream.end("ok");
		});
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		await withHop("h2", (server.address() as AddressInfo).port, async (entry) => {
			const session = connect(`http://${entryHost}:${entry.port}`);
			const ask = async () => {
				const stream = session.request({ ":path": "/", ":authority": "far.mos.test", traceparent: client });
				const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
				stream.resume();
				await once(stream, "close");
				return headers[":status"];
			};
			await expect.poll(() => (spans.splice(0), ask())).toBe(200);
			const chain = await chainOf("agent");
			expect(chain.map((span) => span?.of)).toEqual(["entry", "other", "agent"]);
			expect(chain[0]?.parent).toBe(client);
			const before = spans.length;
			expect(await ask()).toBe(200);
			expect(spans.slice(before).map((span) => span.of)).toEqual(["entry"]);
			session.close();
		});
		server.close();
	});

	it("L7: a connection to a TCP port begins a trace, of its own beginning alone", async () => {
		const { port } = await backbone.tcp((socket) => socket.end("hello"));
		await withHop("tcp", port, async (_entry, other) => {
			const ask = async () => {
				const port = await portOf(other);
				return RawClient.exchange({ host: entryHost, port }, "").catch(() => "");
			};
			await expect.poll(() => (spans.splice(0), ask())).toBe("hello");
			const chain = await chainOf("agent");
			expect(chain.map((span) => span?.of)).toEqual(["entry", "other", "agent"]);
			expect(chain[0]).toMatchObject({
				parent: undefined,
				facts: { name: "tcp service", attributes: { "warren.role": "backbone", "warren.service": "far" } },
			});
		});
	});

	it("L7: a connection that finds no agent says so", async () => {
		await backbone.token("db", "tcp");
		const port = await portOf(backbone);
		spans.length = 0;
		await RawClient.exchange({ port }, "").catch(() => "");
		await whenEnded(spans[0]);
		expect(spans[0]?.facts).toMatchObject({ name: "tcp service", attributes: { "error.type": "no_agent" } });
	});

	it("L7: the first datagram of an address begins one; those that follow belong to it", async () => {
		const service = createSocket("udp4");
		service.on("message", (bytes, from) => service.send(bytes, from.port, from.address));
		service.bind(0, "127.0.0.1");
		await once(service, "listening");
		await withHop("udp", service.address().port, async (entry, other) => {
			const port = await portOf(other);
			// The route is known a moment later; until then an address has no stream.
			const asked = `GET /admin/api/services HTTP/1.1\r\nHost: mos.test\r\nAuthorization: Bearer ${adminToken}\r\nConnection: close\r\n\r\n`;
			await expect
				.poll(() => RawClient.exchange({ host: entryHost, port: entry.port }, asked))
				.toMatch(/"agents_elsewhere":\[\{[^\]]*"node":"other"/);
			const sender = createSocket("udp4");
			const ask = async (said: string) => {
				const came = once(sender, "message");
				sender.send(said, port, entryHost);
				return String((await came)[0]);
			};
			expect(await ask("hi")).toBe("hi");
			const chain = await chainOf("agent");
			expect(chain.map((span) => [span?.of, span?.facts?.name])).toEqual([
				["entry", "udp service"],
				["other", "hop service"],
				["agent", "connect service"],
			]);
			const before = spans.length;
			expect(await ask("more")).toBe("more");
			expect(spans.length).toBe(before);
			sender.close();
		});
		service.close();
	});

	it("L7: warren forward begins it where the connection comes from, and a visitor's word is taken as far as it is one", async () => {
		const { port } = await backbone.tcp((socket) => socket.end("hello"));
		await backbone.agent("db", port, { kind: "tcp", tracer: tracerOf("agent") });
		const { credential } = await backbone.principal("db");
		const target = { url: new URL(`http://127.0.0.1:${backbone.port}`), tls: {} };
		const opened = await Forwarder.open(
			{ clock: systemClock, logger: silentLogger, tracer: tracerOf("forward") },
			{ target, service: "db", credential, host: "127.0.0.1", port: 0 },
		);
		if (!opened.ok) throw new Error(opened.message);
		spans.length = 0;
		using through = await RawClient.open({ port: opened.forwarder.port });
		expect(await through.closed()).toBe("hello");
		const chain = await chainOf("agent");
		expect(chain.map((span) => [span?.of, span?.facts?.name])).toEqual([
			["forward", "forward connection"],
			["node", "forward service"],
			["agent", "connect service"],
		]);
		expect(JSON.stringify(chain)).not.toContain(credential);
		await opened.forwarder.close();
	});

	it("to a target that refuses says so at the agent", async () => {
		const { server, port } = await backbone.http(() => {});
		await new Promise((resolve) => server.close(resolve));
		await backbone.agent("gone", port, { tracer: tracerOf("agent") });
		spans.length = 0;
		await backbone.raw("GET / HTTP/1.1\r\nHost: gone.mos.test\r\nConnection: close\r\n\r\n");
		await whenEnded(spanOf("agent"));
		expect(spanOf("agent")?.facts?.attributes?.["error.type"]).toBe("refused");
	});
});
