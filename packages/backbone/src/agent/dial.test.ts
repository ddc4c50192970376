import { createServer, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import { type AddressInfo, createServer as createTcpServer } from "node:net";
import type { Writable } from "node:stream";
import { expect, it, vi } from "vitest";
import { Dialler, dialLimits, type Transport } from "./dial.ts";

/** What a server says beside its status: all of it, or what is announced and breaks off. */
interface Refusal {
	readonly retryAfter?: string;
	readonly body?: string;
	readonly breaksOff?: boolean;
	/** Instead of a body: more and more of one, or one that is announced and does not come. */
	readonly endless?: "flows" | "stands";
}

/** Writes for as long as somebody reads. */
function flow(to: Writable): void {
	const more = () => {
		if (!to.destroyed) to.write(Buffer.alloc(4096, "x"), more);
	};
	more();
}

/** A server that refuses everybody: its head first, its body on its own. */
async function refusing(transport: Transport, { retryAfter = "1", body = "", breaksOff = false, endless }: Refusal) {
	const server =
		transport === "http2"
			? createServer().on("stream", (stream: ServerHttp2Stream) => {
					stream.on("error", () => {});
					stream.respond({ ":status": 503, "retry-after": retryAfter });
					if (endless !== undefined) return endless === "flows" && flow(stream);
					setImmediate(() => (breaksOff ? stream.write(body, () => stream.close(2)) : stream.end(body)));
				})
			: createTcpServer((socket) => {
					socket.on("error", () => {});
					socket.once("data", () => {
						const length =
							endless === undefined ? Buffer.byteLength(body) + (breaksOff ? 1 : 0) : Number.MAX_SAFE_INTEGER;
						const head = `HTTP/1.1 503 Away\r\nConnection: close\r\nContent-Length: ${length}\r\nRetry-After: ${retryAfter}\r\n\r\n`;
						socket.setNoDelay(true).write(head, () => {
							if (endless === undefined) setImmediate(() => socket.end(body));
							else if (endless === "flows") flow(socket);
						});
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
	"a refusal over %s that goes on and on is read no further than one has",
	async (transport) => {
		const { url, close } = await refusing(transport, { endless: "flows" });
		const dialler = new Dialler({ url, tls: {}, transport });
		// No time passes: its length is what ends it.
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		const dialled = await dialler.dial({}).finally(() => vi.useRealTimers());
		expect(dialled).toMatchObject({ ok: false, status: 503, message: "the server answered 503" });
		dialler.close();
		close();
	},
);

it.each(["parked", "shared", "websocket", "http2"] as const)(
	"a refusal over %s that stands still is one, after as long as a dial may take",
	async (transport) => {
		const { url, close } = await refusing(transport, { endless: "stands" });
		const dialler = new Dialler({ url, tls: {}, transport });
		vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
		let settled = false;
		const dialled = dialler.dial({}).finally(() => (settled = true));
		// The clock moves by a millisecond a turn of the loop: what was sent is there long before it is over.
		while (!settled) {
			await new Promise((resolve) => setImmediate(resolve));
			vi.advanceTimersByTime(1);
		}
		vi.useRealTimers();
		expect(await dialled).toMatchObject({ ok: false, status: 503, message: "the server answered 503" });
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
