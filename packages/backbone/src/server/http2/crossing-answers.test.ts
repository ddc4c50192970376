import { once } from "node:events";
import { type ClientHttp2Session, connect, type IncomingHttpHeaders } from "node:http2";
import { VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, expect, it } from "vitest";
import { TestBackbone } from "../../backbone.testing.ts";
import { agentLimits } from "../agents/agent-limits.ts";
import { flags, frame, frameTypes, RawHttp2, requestFields } from "./raw-frames.testing.ts";

let backbone: TestBackbone;
let session: ClientHttp2Session;
beforeEach(async () => {
	backbone = await TestBackbone.open();
	session = connect(`http://127.0.0.1:${backbone.port}`);
	session.on("error", () => {});
});
afterEach(async () => {
	session.destroy();
	await backbone[Symbol.asyncDispose]();
});

/** A service of HTTP/1.1 that says this to each request. */
async function service(answer: string): Promise<void> {
	const { port } = await backbone.tcp((socket) => socket.on("data", () => socket.write(answer)));
	await backbone.agent("web", port);
}

async function ask() {
	const stream = session.request({ ":path": "/", ":authority": "web.mos.test" });
	stream.on("error", () => {});
	let trailers: IncomingHttpHeaders = {};
	stream.on("trailers", (came) => (trailers = came));
	const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders];
	let body = "";
	stream.setEncoding("utf8");
	for await (const piece of stream) body += piece;
	return { headers, body, trailers };
}

it("P1: a service's TE, which HTTP/2 cannot say, goes no further", async () => {
	await service("HTTP/1.1 200 OK\r\nTE: gzip\r\nX-Kept: yes\r\nContent-Length: 2\r\n\r\nok");
	const { headers, body } = await ask();
	expect([headers["x-kept"], headers.te, body]).toEqual(["yes", undefined, "ok"]);
});

it("P1: a service's trailers lose the fields of one hop, which HTTP/2 cannot say", async () => {
	await service(
		"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nok\r\n0\r\nKeep-Alive: timeout=5\r\nProxy-Connection: close\r\nHTTP2-Settings: x\r\nX-Sum: 7\r\n\r\n",
	);
	const { body, trailers } = await ask();
	expect([body, Object.entries(trailers)]).toEqual(["ok", [["x-sum", "7"]]]);
});

it.each(["http", "h2"] as const)(
	"P1: a request that its client resets without an error costs its stream alone (%s)",
	async (kind) => {
		const clock = new VirtualClock(Date.now());
		await using waiting = await TestBackbone.open({ limits: { drainMs: 0 } }, undefined, { clock });
		const token = await waiting.token("web", kind);
		// An agent without a second link: whoever comes next waits for one.
		using agent = await waiting.client();
		agent.send(
			`GET /tunnel HTTP/1.1\r\nHost: mos.test\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\nAuthorization: Bearer ${token}\r\nx-warren-agent: rude-agent\r\n\r\n`,
		);
		await agent.until(/"pingMs"/);
		using busy = await waiting.client();
		busy.send(
			kind === "http"
				? "GET / HTTP/1.1\r\nHost: web.mos.test\r\n\r\n"
				: "GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n",
		);
		await agent.until(/x-forwarded-for/i);
		using client = await RawHttp2.open(waiting.port);
		client.send(
			frame(frameTypes.headers, flags.endHeaders, 1, requestFields("web.mos.test")),
			frame(frameTypes.data, 0, 1, Buffer.from("never read")),
		);
		// It is asked for another link.
		await agent.until(/\x07\x00\x00\x02/);
		client.send(frame(frameTypes.reset, 0, 1, Buffer.alloc(4)), frame(frameTypes.ping, 0, 0, Buffer.alloc(8)));
		await client.until(({ type }) => type === frameTypes.ping);
		await clock.advance(agentLimits.waitMs + 1000);
		const counts = (await waiting.api("GET", "/admin/api/services")).json.services[0];
		expect(counts.agents).toMatchObject([{ busy: 1 }]);
	},
);
