import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { expect, it, vi } from "vitest";
import { Dialler, dialLimits, type Transport } from "./dial.ts";

/** A server that refuses everybody, and says when to come again. */
async function refusing(transport: Transport, retryAfter: string) {
	const server =
		transport === "http2"
			? createServer().on("stream", (stream: ServerHttp2Stream) =>
					stream.respond({ ":status": 503, "retry-after": retryAfter }, { endStream: true }),
				)
			: createTcpServer((socket) => {
					socket.on("error", () => {});
					socket.once("data", () =>
						socket.end(
							`HTTP/1.1 503 Away\r\nConnection: close\r\nContent-Length: 0\r\nRetry-After: ${retryAfter}\r\n\r\n`,
						),
					);
				});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return { url: new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`), close: () => server.close() };
}

const answers: [string, number][] = [
	["7", 7_000],
	["Wed, 21 Oct 2026 07:28:00 GMT", 0],
	["-1", 0],
	["99999999999999", dialLimits.maxRetryAfterMs],
];

it.each(
	(["parked", "shared", "websocket", "http2"] as const).flatMap((transport) =>
		answers.map((each) => [transport, ...each] as const),
	),
)("a refusal over %s with Retry-After: %s is waited out for %d ms", async (transport, retryAfter, retryAfterMs) => {
	const { url, close } = await refusing(transport, retryAfter);
	const dialler = new Dialler({ url, tls: {}, transport });
	expect(await dialler.dial({})).toMatchObject({ ok: false, status: 503, retryAfterMs });
	dialler.close();
	close();
});

it.each(["parked", "shared", "websocket", "http2"] as const)(
	"a token that no field may hold is a failure over %s, and no fault of the process",
	async (transport) => {
		const { url, close } = await refusing(transport, "1");
		const dialler = new Dialler({ url, tls: {}, transport });
		expect(await dialler.dial({ authorization: "Bearer €" })).toMatchObject({ ok: false });
		dialler.close();
		close();
	},
);

it("an HTTP/2 connection that answers nothing more is asked for nothing more; what runs on it goes on until the agent ends", async () => {
	const sessions: ServerHttp2Session[] = [];
	let asked = 0;
	const unanswered = Promise.withResolvers<void>();
	const server = createServer()
		.on("session", (session) => sessions.push(session))
		.on("stream", (stream: ServerHttp2Stream) => {
			stream.on("error", () => {});
			if (++asked === 2) unanswered.resolve();
			else stream.respond({ ":status": 200 });
		});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	const url = new URL(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
	const dialler = new Dialler({ url, tls: {}, transport: "http2" });
	const running = await dialler.dial({});
	if (!running.ok) throw new Error(running.message);
	vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
	const late = dialler.dial({});
	await unanswered.promise;
	vi.advanceTimersByTime(dialLimits.timeoutMs);
	vi.useRealTimers();
	expect(await late).toMatchObject({ ok: false, status: null });
	const next = await dialler.dial({});
	expect([next.ok, sessions.length, running.channel.destroyed]).toEqual([true, 2, false]);
	const gone = sessions.map((session) => new Promise((resolve) => session.once("close", resolve)));
	dialler.close();
	await Promise.all(gone);
	server.close();
});
