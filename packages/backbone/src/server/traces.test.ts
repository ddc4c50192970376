import { once } from "node:events";
import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { SpanFacts, Tracer } from "@warren/kernel";
import { RawClient } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { SharedState, TestBackbone } from "../backbone.testing.ts";

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

	it("over HTTP/2 is one, too", async () => {
		const server = createServer();
		server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
			seen.push(headers["traceparent"]);
			stream.respond({ ":status": 200 });
			stream.end("ok");
		});
		server.listen(0, "127.0.0.1");
		await once(server, "listening");
		await backbone.agent("rpc", (server.address() as AddressInfo).port, { kind: "h2" });
		spans.length = 0;
		const session = connect(`http://127.0.0.1:${backbone.backbone.port}`);
		try {
			const stream = session.request({ ":path": "/h2", ":authority": "rpc.mos.test", traceparent: client });
			stream.resume();
			await once(stream, "end");
			await whenEnded(spans[0]);
			expect([spans[0]?.parent, seen]).toEqual([client, [spans[0]?.traceparent]]);
			expect(spans[0]?.facts).toMatchObject({ name: "GET service", status: 200 });
		} finally {
			session.close();
			server.close();
		}
	});
});

describe("the way of a request", () => {
	const spanOf = (name: string) => spans.find((span) => span.of === name);

	it("L7: through a hop and an agent is one chain of spans; a connection that is used again makes none", async () => {
		await using shared = disposable(await SharedState.open());
		const nodeAt = (nodeId: string) =>
			TestBackbone.open({ nodeId, cluster: { url: null, ca: null } }, shared.own, { tracer: tracerOf(nodeId) });
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

function disposable(own: SharedState): AsyncDisposable & { readonly own: SharedState } {
	return { own, [Symbol.asyncDispose]: () => own.close() };
}
