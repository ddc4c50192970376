import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import { expect, it, vi } from "vitest";
import { Dialler, dialLimits, type Transport } from "./dial.ts";

/** What a server says beside its status: all of it, or what is announced and breaks off. */
interface Refusal {
	readonly retryAfter?: string;
	readonly body?: string;
	readonly breaksOff?: boolean;
}

/** A server that refuses everybody: its head first, its body on its own. */
async function refusing(transport: Transport, { retryAfter = "1", body = "", breaksOff = false }: Refusal) {
	const server =
		transport === "http2"
			? createServer().on("stream", (stream: ServerHttp2Stream) => {
					stream.on("error", () => {});
					stream.respond({ ":status": 503, "retry-after": retryAfter });
					setImmediate(() => (breaksOff ? stream.write(body, () => stream.close(2)) : stream.end(body)));
				})
			: createTcpServer((socket) => {
					socket.on("error", () => {});
					socket.once("data", () => {
						const length = Buffer.byteLength(body) + (breaksOff ? 1 : 0);
						const head = `HTTP/1.1 503 Away\r\nConnection: close\r\nContent-Length: ${length}\r\nRetry-After: ${retryAfter}\r\n\r\n`;
						socket.setNoDelay(true).write(head, () => setImmediate(() => socket.end(body)));
					});
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
	const { url, close } = await refusing(transport, { retryAfter });
	const dialler = new Dialler({ url, tls: {}, transport });
	expect(await dialler.dial({})).toMatchObject({ ok: false, status: 503, retryAfterMs });
	dialler.close();
	close();
});

it.each(
	(["parked", "shared", "websocket", "http2"] as const).flatMap((transport) =>
		[false, true].map((breaksOff) => [transport, breaksOff] as const),
	),
)("a refusal over %s says why, also where it breaks off: %s", async (transport, breaksOff) => {
	const body = JSON.stringify({ code: "unavailable", message: "The backbone is\nstopping." });
	const { url, close } = await refusing(transport, { body, breaksOff });
	const dialler = new Dialler({ url, tls: {}, transport });
	expect(await dialler.dial({})).toMatchObject({ ok: false, status: 503, message: "The backbone is stopping." });
	dialler.close();
	close();
});

it.each(["parked", "shared", "websocket", "http2"] as const)(
	"a refusal over %s is read no further than one has",
	async (transport) => {
		const { url, close } = await refusing(transport, { body: "x".repeat(8 * 1024 * 1024) });
		const dialler = new Dialler({ url, tls: {}, transport });
		expect(await dialler.dial({})).toMatchObject({ ok: false, status: 503, message: "the server answered 503" });
		dialler.close();
		close();
	},
);

it.each(["parked", "shared", "websocket", "http2"] as const)(
	"a token that no field may hold is a failure over %s, and no fault of the process",
	async (transport) => {
		const { url, close } = await refusing(transport, {});
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
