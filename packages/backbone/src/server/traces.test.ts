import { once } from "node:events";
import { connect, createServer, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import type { SpanFacts, Tracer } from "@warren/kernel";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";

interface Begun {
	readonly parent: string | undefined;
	readonly traceparent: string;
	facts: SpanFacts | null;
}

const spans: Begun[] = [];
let ended: (() => void)[] = [];
/** Keeps what was begun; each span is told apart by its number. */
const tracer: Tracer = {
	begin: (parent) => {
		const span: Begun = {
			parent,
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
};
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
