import { type Authenticator, silentLogger, systemClock } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { HostTable } from "../http/host-table.ts";
import { Listener } from "../http/listener.ts";
import type { Route } from "../http/route.ts";
import { FetchListener, type FetchListenerOptions } from "./fetch-listener.ts";

const authenticator: Authenticator = {
	kinds: ["session"],
	authenticate: async (credential) =>
		credential.scheme === "bearer" && credential.token === "good"
			? { ok: true, kind: "session", identity: { kind: "operator", name: "test" } }
			: { ok: false, reason: "invalid", message: "no" },
};
const facts = { owner: "test", credentials: ["session"] } as const;

function listening(routes: readonly Route[], more: Partial<FetchListenerOptions> = {}): FetchListener {
	return new FetchListener(
		{ clock: systemClock, logger: silentLogger },
		{
			role: "test",
			hosts: new HostTable(["hub.test"]),
			authenticator,
			remoteAddressOf: () => "192.0.2.1",
			routes,
			...more,
		},
	);
}

const ask = (path: string, init: RequestInit & { duplex?: "half" } = {}) =>
	new Request(`https://hub.test${path}`, { ...init, headers: { authorization: "Bearer good", ...init.headers } });

describe("routes through Fetch", () => {
	const echo: Route = {
		...facts,
		method: "POST",
		path: "/echo/:word",
		maxBodyBytes: 32,
		handle: async (context) => Response.json([context.params["word"], await context.json(z.object({ a: z.number() }))]),
	};

	it("are judged in a Listener's order, with its answers", async () => {
		const listener = listening([echo]);
		const status = async (request: Request) => (await listener.fetch(request)).status;
		const json = { "content-type": "application/json" };
		const post = { method: "POST", headers: json, body: '{"a":1}' };
		const done = await listener.fetch(ask("/echo/hi", post));
		expect([done.status, await done.json()]).toEqual([200, ["hi", { a: 1 }]]);
		expect(await status(new Request("https://other.test/echo/hi"))).toBe(421);
		expect(await status(ask("/nothing"))).toBe(404);
		expect(await status(ask("/echo/hi"))).toBe(405);
		expect(await status(ask("/echo/hi", { ...post, headers: { ...json, origin: "https://evil.test" } }))).toBe(403);
		expect(await status(ask("/echo/hi", { ...post, headers: { ...json, authorization: "Bearer bad" } }))).toBe(401);
		expect(await status(ask("/echo/hi", { ...post, headers: {} }))).toBe(415);
		expect(await status(ask("/echo/%2e%2e%2fx", post))).toBe(400);
	});

	it("bound a body, declared or not", async () => {
		const listener = listening([echo]);
		const headers = { "content-type": "application/json" };
		const large = JSON.stringify({ a: 1, filler: "y".repeat(64) });
		const declared = ask("/echo/hi", { method: "POST", headers: { ...headers, "content-length": "80" }, body: large });
		expect((await listener.fetch(declared)).status).toBe(413);
		const body = new Blob([large]).stream();
		const chunked = ask("/echo/hi", { method: "POST", headers, body, duplex: "half" });
		expect((await listener.fetch(chunked)).status).toBe(413);
	});

	it("judge whoever holds a body back once more when it is there", async () => {
		let isSignedIn = true;
		const listener = listening([echo], {
			authenticator: {
				kinds: ["session"],
				authenticate: async () =>
					isSignedIn
						? { ok: true, kind: "session", identity: { kind: "operator", name: "test" } }
						: { ok: false, reason: "invalid", message: "signed out" },
			},
		});
		const body = new ReadableStream<Uint8Array>(
			{
				pull: (controller) => {
					isSignedIn = false;
					controller.enqueue(Buffer.from('{"a":1}'));
					controller.close();
				},
			},
			// Only once somebody reads.
			{ highWaterMark: 0 },
		);
		const headers = { "content-type": "application/json" };
		const answer = await listener.fetch(ask("/echo/hi", { method: "POST", headers, body, duplex: "half" }));
		expect(answer.status).toBe(401);
	});

	it("answer pages of named origins alone with CORS, refusals too", async () => {
		const listener = listening([echo], { corsOrigins: new Set(["tauri://localhost"]) });
		const preflight = await listener.fetch(
			ask("/echo/hi", { method: "OPTIONS", headers: { origin: "tauri://localhost" } }),
		);
		expect([preflight.status, preflight.headers.get("access-control-allow-origin")]).toEqual([
			204,
			"tauri://localhost",
		]);
		const missing = await listener.fetch(ask("/nothing", { headers: { origin: "tauri://localhost" } }));
		expect([missing.status, missing.headers.get("access-control-allow-origin")]).toEqual([404, "tauri://localhost"]);
		const evil = await listener.fetch(ask("/nothing", { headers: { origin: "https://evil.test" } }));
		expect(evil.headers.get("access-control-allow-origin")).toBeNull();
	});
});

describe("a StreamRoute through Fetch", () => {
	const streamed = (stream: Extract<Route, { stream: unknown }>["stream"]) =>
		listening([{ ...facts, method: "POST", path: "/s", stream }]);

	it("sends its head before its end, waits for a slow reader, and reads the request's body", async () => {
		let written = 0;
		const block = Buffer.alloc(32 * 1024, "x");
		const listener = streamed(async (_context, incoming, outgoing) => {
			let asked = "";
			for await (const chunk of incoming) asked += String(chunk);
			outgoing.writeHead(201, { "x-asked": asked });
			outgoing.flushHeaders();
			while (written < 100) {
				written += 1;
				if (!outgoing.write(block)) await new Promise((resolve) => outgoing.once("drain", resolve));
			}
			outgoing.end();
		});
		const answer = await listener.fetch(ask("/s", { method: "POST", body: "question" }));
		expect([answer.status, answer.headers.get("x-asked")]).toEqual([201, "question"]);
		expect(written, "nobody has read yet").toBeLessThan(20);
		expect((await answer.arrayBuffer()).byteLength).toBe(100 * block.length);
	});

	it("that is broken off in the middle ends in an error, never cleanly", async () => {
		const listener = streamed((_context, _incoming, outgoing) => {
			outgoing.write("half");
			outgoing.destroy();
		});
		const answer = await listener.fetch(ask("/s", { method: "POST" }));
		await expect(answer.text()).rejects.toThrow();
	});

	it("hears that its reader has left", async () => {
		let left: () => void;
		const gone = new Promise<void>((resolve) => {
			left = resolve;
		});
		const listener = streamed(({ signal }, _incoming, outgoing) => {
			signal.addEventListener("abort", () => left());
			outgoing.write("begun");
		});
		const answer = await listener.fetch(ask("/s", { method: "POST" }));
		await answer.body?.cancel();
		await gone;
	});

	it("whose owner is disconnected is cut", async () => {
		const listener = streamed((_context, _incoming, outgoing) => void outgoing.write("begun"));
		const answer = await listener.fetch(ask("/s", { method: "POST" }));
		expect(listener.disconnect((who) => who.kind === "operator", 4401, "out")).toBe(1);
		await expect(answer.text()).rejects.toThrow();
	});

	it("that refuses before its head, at once or later, is an error's answer and leaves nothing behind", async () => {
		const refusals: Parameters<typeof streamed>[0][] = [
			() => {
				throw new Error("a fault");
			},
			() => Promise.reject(new Error("a fault")),
		];
		for (const refuses of refusals) {
			const listener = streamed(refuses);
			const answer = await listener.fetch(ask("/s", { method: "POST" }));
			expect([answer.status, ((await answer.json()) as { error: string }).error]).toEqual([500, "internal"]);
			await new Promise(setImmediate);
			expect(listener.disconnect(() => true, 4401, "out")).toBe(0);
		}
	});
});

it("a Listener with sockets of its own refuses a route that is passed on by an answer", async () => {
	const forwarded: Route = { ...facts, method: "WS", path: "/f", forward: () => new Response() };
	const options = { role: "test", port: 0, tls: null, hosts: new HostTable([]), authenticator, routes: [forwarded] };
	await expect(Listener.open({ clock: systemClock, logger: silentLogger }, options)).rejects.toThrow(
		/only FetchListener/,
	);
});
