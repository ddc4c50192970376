import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import {
	type Authenticator,
	type Clock,
	closeCodes,
	type DeviceId,
	type Logger,
	silentLogger,
	systemClock,
	systemRandom,
	type Verdict,
} from "@warren/kernel";
import { RawClient, VirtualClock } from "@warren/testkit";
import { afterEach, describe, expect, it } from "vitest";
import { z } from "zod";
import { Authority } from "../tls/authority.ts";
import type { WebSocketConnection } from "../websocket/connection.ts";
import { dialWebSocket } from "../websocket/dial.ts";
import { HostTable } from "./host-table.ts";
import { Listener } from "./listener.ts";
import { type ListenerOptions, listenerLimits } from "./listener-options.ts";
import type { Route } from "./route.ts";

const dana = { kind: "device", deviceId: "d1" as DeviceId, name: "dana" } as const;
const authenticator: Authenticator = {
	kinds: ["device"],
	authenticate: async (credential) => {
		if (credential.scheme !== "bearer") return null;
		if (credential.token === "limited")
			return { ok: false, reason: "limited", message: "Too many.", retryAfterMs: 2500 };
		if (credential.token === "away")
			return { ok: false, reason: "unavailable", message: "The hub is away.", retryAfterMs: 1000 };
		if (credential.token === "share")
			return { ok: true, kind: "share", identity: { kind: "share", shareId: "s", resource: "r", expiresAt: 0 } };
		return credential.token === "good"
			? { ok: true, kind: "device", identity: dana }
			: { ok: false, reason: "invalid", message: "Unknown token." };
	},
};

const accepted: WebSocketConnection[] = [];
let letSlowGo = () => {};
const slow = () =>
	new Promise<void>((resolve) => {
		letSlowGo = resolve;
	});
let slowEntered: () => void = () => {};
let onSlowAccept: (connection: WebSocketConnection) => void = () => {};

const routes: Route[] = [
	{ owner: "test", method: "GET", path: "/open", credentials: ["none"], handle: () => Response.json({ open: true }) },
	{
		owner: "test",
		method: "POST",
		path: "/echo",
		credentials: ["device"],
		maxBodyBytes: 100,
		handle: async (context) => Response.json(await context.json(z.object({ word: z.string() }))),
	},
	{ owner: "test", method: "GET", path: "/closed", credentials: ["device"], handle: () => Response.json({}) },
	{
		owner: "test",
		method: "PUT",
		path: "/kept",
		credentials: ["none"],
		handle: () => {
			throw Object.assign(new Error("ENOSPC: no space left on device, write"), { code: "ENOSPC" });
		},
	},
	{
		owner: "test",
		method: "GET",
		path: "/fault",
		credentials: ["none"],
		handle: () => {
			throw new Error("the database password is hunter2");
		},
	},
	{
		owner: "test",
		method: "GET",
		path: "/slow",
		credentials: ["none"],
		handle: async () => {
			slowEntered();
			await slow();
			return Response.json({ late: true });
		},
	},
	{
		owner: "test",
		method: "GET",
		path: "/stream",
		credentials: ["device"],
		stream: (_context, _incoming, outgoing) => {
			outgoing.writeHead(200, { "content-type": "text/event-stream" });
			outgoing.write("data: 1\n\n");
		},
	},
	{
		owner: "test",
		method: "WS",
		path: "/ws",
		credentials: ["device"],
		open: (_context, upgrade) => {
			const connection = upgrade.accept();
			connection.onMessage((data) => connection.send(data.toString("utf8")));
			accepted.push(connection);
		},
	},
	{
		owner: "test",
		method: "WS",
		path: "/ws-slow",
		credentials: ["device"],
		open: async (_context, upgrade) => {
			slowEntered();
			await slow();
			const connection = upgrade.accept();
			onSlowAccept(connection);
			accepted.push(connection);
		},
	},
	{
		owner: "test",
		method: "WS",
		path: "/ws-fault",
		credentials: ["device"],
		open: () => {
			throw new Error("secret inside");
		},
	},
];

let listener: Listener | undefined;
const open = async (
	options: Partial<ListenerOptions> = {},
	logger: Logger = silentLogger,
	clock: Clock = systemClock,
) => {
	listener = await Listener.open(
		{ clock, logger },
		{
			role: "test",
			host: "127.0.0.1",
			port: 0,
			tls: null,
			hosts: new HostTable(["localhost"]),
			routes,
			authenticator,
			...options,
		},
	);
	return listener;
};
afterEach(async () => {
	letSlowGo();
	await listener?.close();
	listener = undefined;
	accepted.length = 0;
});

const head = (line: string, headers: Record<string, string> = {}) =>
	`${line} HTTP/1.1\r\n${Object.entries({ Host: "localhost", ...headers })
		.map(([name, value]) => `${name}: ${value}\r\n`)
		.join("")}\r\n`;
const ask = async (line: string, headers: Record<string, string> = {}, body = "") =>
	RawClient.exchange({ port: (listener as Listener).port }, head(line, { Connection: "close", ...headers }) + body);
const statusOf = (answer: string) => Number(answer.slice(9, 12));
const good = { Authorization: "Bearer good" };
const handshake = {
	Connection: "Upgrade",
	Upgrade: "websocket",
	"Sec-WebSocket-Version": "13",
	"Sec-WebSocket-Key": "AAAAAAAAAAAAAAAAAAAAAA==",
};
const dial = (path: string, token = "good", headers: Record<string, string> = {}) =>
	dialWebSocket(`ws://localhost:${listener?.port}${path}`, systemClock, {
		protocols: ["warren.v1", `bearer.${token}`],
		headers,
	});
const closeOf = (connection: WebSocketConnection) =>
	new Promise<[number, string]>((resolve) => connection.onClose((code, reason) => resolve([code, reason])));

describe("a listener", () => {
	it("answers its own Hosts, 421 any other, and 400 what is no Host or two", async () => {
		const { port } = await open();
		expect(statusOf(await ask("GET /open"))).toBe(200);
		expect(statusOf(await ask("GET /open", { Host: `127.0.0.1:${port}` }))).toBe(200);
		expect(statusOf(await ask("GET /open", { Host: "LOCALHOST.:9" }))).toBe(200);
		const wrong = await ask("GET /open", { Host: "evil.example" });
		expect(statusOf(wrong)).toBe(421);
		expect(wrong).toContain('"error":"wrong_host"');
		expect(wrong).toContain("--hostname");
		expect(statusOf(await ask("GET /open", { Host: "a b" }))).toBe(400);
		expect(
			statusOf(await RawClient.exchange({ port }, "GET /open HTTP/1.1\r\nHost: localhost\r\nHost: evil\r\n\r\n")),
		).toBe(400);
		expect(statusOf(await RawClient.exchange({ port }, "GET /open HTTP/1.1\r\nConnection: close\r\n\r\n"))).toBe(400);
	});

	it("refuses paths in doubt, unknown ones and wrong methods", async () => {
		await open();
		expect(statusOf(await ask("GET /a/../open"))).toBe(400);
		expect(statusOf(await ask("GET /%2e%2e/open"))).toBe(400);
		expect(statusOf(await ask("GET http://localhost/open"))).toBe(400);
		expect(statusOf(await ask("GET /nothing"))).toBe(404);
		const wrong = await ask("DELETE /open");
		expect(statusOf(wrong)).toBe(405);
		expect(wrong).toMatch(/^allow: GET\r$/im);
	});

	it("shows whoever goes to an address that leads nowhere a page with a way home; programs and the API keep JSON", async () => {
		const pages: Route[] = [
			{
				owner: "test",
				method: "GET",
				path: "/",
				about: null,
				credentials: ["none"],
				handle: () => new Response("home"),
			},
			{
				owner: "test",
				method: "GET",
				path: "/docs/*",
				about: null,
				credentials: ["none"],
				handle: () => new Response(),
			},
			{ owner: "test", method: "GET", path: "/docs/kept/data", credentials: ["device"], handle: () => new Response() },
		];
		await open({ routes: [...routes, ...pages] });
		const page = /^content-type: text\/html/im;
		const asBrowser = { Accept: "text/html,application/xhtml+xml,*/*;q=0.8", "Sec-Fetch-Mode": "navigate" };
		const lost = await ask("GET /nothing/<script>alert(1)</script>", asBrowser);
		expect(statusOf(lost)).toBe(404);
		expect(lost).toMatch(page);
		expect(lost).toMatch(/<h1>There is no page here<\/h1>[^]*<a href="\/">/);
		expect(lost).not.toContain("<script>");
		expect(lost).toMatch(/^content-security-policy: default-src 'none'; style-src 'sha256-/im);
		const doubtful = await ask("GET /a/../open", asBrowser);
		expect([statusOf(doubtful), page.test(doubtful)]).toEqual([400, true]);
		const wrong = await ask("GET /", { ...asBrowser, Host: "evil.example" });
		expect(statusOf(wrong)).toBe(421);
		expect(wrong).toMatch(/--hostname/);
		expect(wrong).not.toContain("<a href");
		// The API's, a page's own call of it, a program, and what a route itself refuses.
		for (const [what, headers] of [
			["GET /open/nothing", asBrowser],
			["GET /nothing", { ...asBrowser, "Sec-Fetch-Mode": "cors" }],
			["GET /nothing", { Accept: "application/json, text/html" }],
			["GET /nothing", {}],
			["POST /nothing", asBrowser],
			["GET /docs/kept/data", asBrowser],
		] as const)
			expect(await ask(what, headers), what).toMatch(/^content-type: application\/json/im);
	});

	it("tells no credential, a wrong one, one of another kind, and an authority that is away apart", async () => {
		await open();
		const none = await ask("GET /closed");
		expect(statusOf(none)).toBe(401);
		expect(none).toMatch(/^x-warren-auth: node\r$/im);
		expect(none).toMatch(/^cache-control: no-store\r$/im);
		expect(statusOf(await ask("GET /closed", { Authorization: "Bearer bad" }))).toBe(401);
		expect(statusOf(await ask("GET /closed", { Authorization: "Basic !" }))).toBe(401);
		expect(statusOf(await ask("GET /closed", { Authorization: "Bearer share" }))).toBe(403);
		expect(statusOf(await ask("GET /closed", good))).toBe(200);
		const away = await ask("GET /closed", { Authorization: "Bearer away" });
		expect(statusOf(away)).toBe(503);
		const limited = await ask("GET /closed", { Authorization: "Bearer limited" });
		expect(statusOf(limited)).toBe(429);
		expect(limited).toMatch(/^retry-after: 3\r$/im);
	});

	it("chooses between two Authorization headers never", async () => {
		const { port } = await open();
		const answer = await RawClient.exchange(
			{ port },
			"GET /closed HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: Bearer good\r\nAuthorization: Bearer bad\r\n\r\n",
		);
		expect(statusOf(answer)).toBe(401);
	});

	it("bounds a body that declares its length, and one that does not", async () => {
		await open();
		const json = { ...good, "Content-Type": "application/json" };
		const ok = '{"word":"a"}';
		expect(statusOf(await ask("POST /echo", { ...json, "Content-Length": String(ok.length) }, ok))).toBe(200);
		expect(statusOf(await ask("POST /echo", { ...json, "Content-Length": "101" }))).toBe(413);
		const chunk = `32\r\n${"x".repeat(50)}\r\n`;
		expect(
			statusOf(await ask("POST /echo", { ...json, "Transfer-Encoding": "chunked" }, `${chunk.repeat(3)}0\r\n\r\n`)),
		).toBe(413);
		const chunked = `c\r\n${ok}\r\n0\r\n\r\n`;
		expect(statusOf(await ask("POST /echo", { ...json, "Transfer-Encoding": "chunked" }, chunked))).toBe(200);
	});

	it("judges whoever holds a body back once more when it is there: rights may be gone by then", async () => {
		let verdict: Verdict = { ok: true, kind: "device", identity: dana };
		let asked = () => {};
		const handled: unknown[] = [];
		const { port } = await open({
			authenticator: {
				kinds: ["device"],
				authenticate: async () => {
					asked();
					return verdict;
				},
			},
			routes: [
				{
					owner: "test",
					method: "POST",
					path: "/write",
					credentials: ["device"],
					handle: async (context) => {
						handled.push([context.identity, await context.json(z.object({ word: z.string() }))]);
						return Response.json({});
					},
				},
			],
		});
		const body = '{"word":"a"}';
		const held = async (meanwhile: Verdict) => {
			using client = await RawClient.open({ port });
			verdict = { ok: true, kind: "device", identity: dana };
			const admitted = new Promise<void>((resolve) => {
				asked = resolve;
			});
			client.send(
				head("POST /write", { ...good, "Content-Type": "application/json", "Content-Length": String(body.length) }),
			);
			await admitted;
			verdict = meanwhile;
			client.send(body);
			return statusOf(await client.until(/\r\n\r\n[^]*\}/));
		};
		expect(await held({ ok: false, reason: "invalid", message: "signed out" })).toBe(401);
		expect(handled).toEqual([]);
		const renamed = { ...dana, name: "eve" };
		expect(await held({ ok: true, kind: "device", identity: renamed })).toBe(200);
		expect(handled).toEqual([[renamed, { word: "a" }]]);
	});

	it("takes JSON as JSON only, and says what is wrong with it", async () => {
		await open();
		const send = (body: string, type: string) =>
			ask("POST /echo", { ...good, "Content-Type": type, "Content-Length": String(body.length) }, body);
		expect(statusOf(await send("{}", "text/plain"))).toBe(415);
		expect(statusOf(await send("{", "application/json"))).toBe(400);
		const wrong = await send('{"word":7}', "application/json");
		expect(statusOf(wrong)).toBe(400);
		expect(wrong).toContain("word: ");
		expect(statusOf(await send('{"word":"a"}', "application/merge-patch+json; charset=utf-8"))).toBe(200);
	});

	it("does not wait for a body that it refused", async () => {
		const { port } = await open();
		using client = await RawClient.open({ port });
		client.send(head("POST /echo", { "Content-Length": "1000000" }));
		const answer = await client.closed();
		expect(statusOf(answer)).toBe(401);
		expect(answer).toMatch(/^connection: close\r$/im);
	});

	it("answers 431 to a head above its limit, and 400 to what is not HTTP", async () => {
		const { port } = await open();
		const long = "x".repeat(listenerLimits.maxHeaderBytes);
		expect(statusOf(await ask("GET /open", { "X-Long": long }))).toBe(431);
		expect(statusOf(await RawClient.exchange({ port }, "\x16\x03\x01 hello\r\n\r\n"))).toBe(400);
		expect(
			statusOf(
				await RawClient.exchange(
					{ port },
					"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
				),
			),
		).toBe(400);
	});

	it("answers 408 to a head that takes too long, and cuts a TLS handshake that does", async () => {
		const { port } = await open({ limits: { headTimeoutMs: 100, headCheckMs: 50 } });
		using client = await RawClient.open({ port });
		client.send("GET /open HTTP/1.1\r\nHost: local");
		expect(statusOf(await client.closed())).toBe(408);
		await listener?.close();
		const { authority } = await Authority.create("t", [], systemClock, systemRandom);
		const tls = await authority.issue({ name: "t", hosts: ["localhost"] });
		const secure = await open({ tls, limits: { tlsHandshakeMs: 100 } });
		using half = await RawClient.open({ port: secure.port });
		half.send(Uint8Array.from([0x16, 0x03]));
		await half.closed();
	});

	it("cuts whoever stops sending a body or reading an answer, and waits for a handler that takes its time", async () => {
		let entered: (left: Promise<void>) => void;
		const read: Route = {
			owner: "test",
			method: "POST",
			path: "/read",
			credentials: ["none"],
			maxBodyBytes: 1_000_000,
			handle: async ({ request }) => new Response(String((await request.arrayBuffer()).byteLength)),
		};
		const flood: Route = {
			owner: "test",
			method: "GET",
			path: "/flood",
			credentials: ["none"],
			stream: (_context, _incoming, outgoing) => {
				entered(new Promise((resolve) => outgoing.once("close", () => resolve())));
				outgoing.end(Buffer.alloc(50_000_000));
			},
		};
		const late: Route = {
			owner: "test",
			method: "POST",
			path: "/late",
			credentials: ["none"],
			stream: (_context, incoming, outgoing) => {
				incoming.resume();
				outgoing.once("timeout", () => outgoing.end("late"));
			},
		};
		const held: Route = {
			owner: "test",
			method: "POST",
			path: "/held",
			credentials: ["none"],
			stream: async (_context, incoming, outgoing) => {
				await new Promise((resolve) => outgoing.once("timeout", resolve));
				let bytes = 0;
				for await (const chunk of incoming) bytes += (chunk as Buffer).length;
				outgoing.end(String(bytes));
			},
		};
		const { authority } = await Authority.create("t", [], systemClock, systemRandom);
		const leaf = await authority.issue({ name: "t", hosts: ["localhost", "127.0.0.1"] });
		for (const tls of [leaf, null]) {
			await listener?.close();
			const { port } = await open({ routes: [read, flood], limits: { stallMs: 100 }, tls });
			const client = () => RawClient.open({ port, ...(tls === null ? {} : { ca: authority.certPem }) });

			using sender = await client();
			sender.send(`${head("POST /read", { "Content-Length": "10" })}half`);
			expect(await sender.closed()).toBe("");

			const left = new Promise<void>((resolve) => {
				entered = resolve;
			});
			using reader = await client();
			reader.socket.pause();
			reader.send(head("GET /flood"));
			await left;
		}

		// Room for this process to send in, however busy the machine is.
		await listener?.close();
		await open({ routes: [late, held], limits: { stallMs: 1_000 } });
		expect(await ask("POST /late", { "Content-Length": "2" }, "ok")).toMatch(/late$/);
		const body = "x".repeat(1_000_000);
		const answer = await ask("POST /held", { "Content-Length": String(body.length) }, body);
		expect(answer, "the handler let the body wait, not the client").toMatch(/1000000$/);
	});

	it("cuts an answer that is under way where what follows is not HTTP or an upgrade, and adds nothing to it", async () => {
		const long: Route = {
			owner: "test",
			method: "GET",
			path: "/long",
			credentials: ["none"],
			stream: (_context, _incoming, outgoing) => {
				outgoing.writeHead(200, { "content-length": 1000 });
				outgoing.write("begun");
			},
		};
		const { port } = await open({ routes: [long] });
		using client = await RawClient.open({ port });
		client.send(head("GET /long"));
		await client.until(/begun/);
		client.send("\x16\x03\x01 hello\r\n\r\n");
		expect(await client.closed()).toMatch(/begun$/);
		using upgrading = await RawClient.open({ port });
		upgrading.send(head("GET /long"));
		await upgrading.until(/begun/);
		upgrading.send(head("GET /ws", handshake));
		expect(await upgrading.closed()).toMatch(/begun$/);
	});

	it("without a port waits for the requests of connections that it took over, and cuts what does not end", async () => {
		const clock = new VirtualClock();
		const served: string[] = [];
		const slower: Route = {
			owner: "test",
			method: "GET",
			path: "/slower",
			credentials: ["none"],
			handle: async () => {
				slowEntered();
				await slow();
				served.push("slower");
				return Response.json({ late: true });
			},
		};
		const endless: Route = {
			...{ owner: "test", method: "GET", path: "/endless", credentials: ["none"] },
			stream: (_context, _incoming, outgoing) => void outgoing.write("begun"),
		};
		for (const path of ["/slower", "/endless"]) {
			const taking = Listener.detached(
				{ clock, logger: silentLogger },
				{ role: "test", hosts: new HostTable(["localhost"]), routes: [slower, endless], authenticator },
			);
			const taken: Socket[] = [];
			const door = createServer((socket) => {
				taken.push(socket);
				taking.adopt(socket);
			});
			await once(door.listen(0, "127.0.0.1"), "listening");
			const entered = new Promise<void>((resolve) => {
				slowEntered = resolve;
			});
			using client = await RawClient.open({ port: (door.address() as AddressInfo).port });
			client.send(head(`GET ${path}`));
			await (path === "/slower" ? entered : client.until(/begun/));
			const closing = taking.close();
			if (path === "/slower") setImmediate(() => letSlowGo());
			else await clock.advance(listenerLimits.drainMs);
			await closing;
			if (path === "/slower") expect(served).toEqual(["slower"]);
			else expect(taken.map(({ destroyed }) => destroyed)).toEqual([true]);
			expect(await client.closed()).toMatch(path === "/slower" ? /"late":true/ : /begun/);
			await new Promise((resolve) => door.close(resolve));
		}
	});

	it("holds no more connections than its limit", async () => {
		const { port } = await open({ limits: { maxConnections: 2 } });
		using first = await RawClient.open({ port });
		using second = await RawClient.open({ port });
		using third = await RawClient.open({ port });
		expect(await third.closed()).toBe("");
		first.send(head("GET /open", { Connection: "close" }));
		expect(statusOf(await first.closed())).toBe(200);
		second.send(head("GET /open", { Connection: "close" }));
		expect(statusOf(await second.closed())).toBe(200);
	});

	it("writes nothing down of a client that leaves in the middle of its body; a fault beside it is", async () => {
		const lines: unknown[] = [];
		const logger = { ...silentLogger, error: (_line: string, fields?: object) => void lines.push(fields) };
		let began = () => {};
		let ended: (how: unknown) => void = () => {};
		const reads: Route = {
			owner: "test",
			method: "POST",
			path: "/reads",
			credentials: ["none"],
			handle: async (context) => {
				began();
				const how = await context.json(z.unknown()).catch((fault: unknown) => fault);
				ended(how);
				if (how instanceof Error) throw how;
				throw new Error("broken");
			},
		};
		const { port } = await open({ routes: [reads] }, logger);
		const json = { "Content-Type": "application/json", "Content-Length": "2" };
		const entered = new Promise<void>((resolve) => {
			began = resolve;
		});
		const left = new Promise<unknown>((resolve) => {
			ended = resolve;
		});
		const client = await RawClient.open({ port });
		client.send(head("POST /reads", json));
		client.send("{");
		await entered;
		client.socket.destroy();
		expect(await left).toBeInstanceOf(Error);
		expect(statusOf(await ask("POST /reads", json, "{}"))).toBe(500);
		expect(lines).toEqual([expect.objectContaining({ path: "/reads", fault: "broken" })]);
	});

	it("keeps a fault's own message to itself", async () => {
		await open();
		const answer = await ask("GET /fault");
		expect(statusOf(answer)).toBe(500);
		expect(answer).not.toContain("hunter2");
	});

	it("says that the disk is full where a file could not be written", async () => {
		await open();
		const answer = await ask("PUT /kept");
		expect(statusOf(answer)).toBe(507);
		expect(answer).toContain('"error":"disk_full"');
	});

	it("refuses changes by pages of another origin, whatever they hold; programs send none", async () => {
		const { port } = await open();
		const send = (origin: string) =>
			ask(
				"POST /echo",
				{
					...good,
					Host: `localhost:${port}`,
					Origin: origin,
					"Content-Type": "application/json",
					"Content-Length": "12",
				},
				'{"word":"a"}',
			);
		expect(statusOf(await send(`http://localhost:${port}`))).toBe(200);
		for (const origin of ["null", "http://evil.example", `https://localhost:${port}`, `http://localhost:${port}.evil`])
			expect(statusOf(await send(origin)), origin).toBe(403);
	});

	it("gives CORS answers to the origins on its list only", async () => {
		await open({ corsOrigins: new Set(["tauri://localhost"]) });
		const preflight = await ask("OPTIONS /closed", { Origin: "tauri://localhost" });
		expect(statusOf(preflight)).toBe(204);
		const answer = await ask("GET /closed", { ...good, Origin: "tauri://localhost" });
		expect(answer).toMatch(/^access-control-allow-origin: tauri:\/\/localhost\r$/im);
		const refused = await ask("GET /closed", { Origin: "tauri://localhost" });
		expect(refused, "a page must be able to read why").toMatch(/^access-control-allow-origin: tauri/im);
		const other = await ask("GET /closed", { ...good, Origin: "https://evil.example" });
		expect(other).not.toMatch(/access-control/i);
		expect(statusOf(await ask("OPTIONS /closed", { Origin: "https://evil.example" }))).toBe(405);
	});
});

describe("an upgrade", () => {
	it("is refused with a close code that tells why", async () => {
		await open();
		const refused = async (path: string, token: string, headers = {}) => {
			const dialled = await dial(path, token, headers);
			if (!dialled.ok) return dialled.status;
			return (await closeOf(dialled.connection))[0];
		};
		expect(await refused("/ws", "bad")).toBe(closeCodes.signIn);
		expect(await refused("/ws", "share")).toBe(closeCodes.forbidden);
		expect(await refused("/ws", "limited")).toBe(closeCodes.unavailable);
		expect(await refused("/ws", "away")).toBe(closeCodes.unavailable);
		expect(await refused("/ws-fault", "good")).toBe(closeCodes.unavailable);
		// Before a route stands, there is nobody to complete the handshake.
		expect(await refused("/nothing", "good")).toBe(404);
		expect(await refused("/open", "good")).toBe(405);
		expect(await refused("/ws", "good", { origin: "https://evil.example" })).toBe(403);
		expect(await refused("/ws", "good", { host: "evil.example" })).toBe(421);
	});

	it("with a malformed handshake is 400, and the process lives on", async () => {
		const { port } = await open();
		const broken: Record<string, string>[] = [
			{ ...handshake, "Sec-WebSocket-Key": "short" },
			{ ...handshake, "Sec-WebSocket-Version": "8" },
			{ Connection: "Upgrade", Upgrade: "websocket" },
		];
		for (const headers of broken)
			for (const path of ["/ws", "/ws-fault", "/ws-slow"])
				expect(statusOf(await RawClient.exchange({ port }, head(`GET ${path}`, headers)))).toBe(400);
		expect(statusOf(await RawClient.exchange({ port }, head("POST /ws", handshake)))).toBe(400);
		expect(statusOf(await ask("GET /open"))).toBe(200);
	});

	it("to another protocol is declined: the request is answered as it is, and the connection goes on", async () => {
		const { port } = await open();
		using client = await RawClient.open({ port });
		const h2c = { Connection: "Upgrade, HTTP2-Settings", Upgrade: "h2c", "HTTP2-Settings": "AAMAAABkAAQAAP__" };
		client.send(head("GET /open", h2c));
		expect(statusOf(await client.until(/\{"open":true\}/))).toBe(200);
		client.send(head("POST /echo", { ...h2c, ...good, "Content-Type": "application/json", "Content-Length": "13" }));
		client.send('{"word":"hi"}');
		await client.until(/\{"word":"hi"\}/);
		client.send(head("GET /ws", { ...h2c, Connection: "close" }));
		expect(await client.closed()).toContain("method_not_allowed");
	});

	it("echoes warren.v1 and never the credential", async () => {
		const { port } = await open();
		using client = await RawClient.open({ port });
		client.send(head("GET /ws", { ...handshake, "Sec-WebSocket-Protocol": "bearer.good, warren.v1" }));
		const answer = await client.until(/\r\n\r\n/);
		expect(statusOf(answer)).toBe(101);
		expect(answer).toMatch(/^sec-websocket-protocol: warren\.v1\r$/im);
		expect(answer).not.toContain("good");
		expect(answer).not.toMatch(/sec-websocket-extensions/i);
	});

	it("loses nothing that its client sends before it is answered", async () => {
		const { port } = await open();
		const entered = new Promise<void>((resolve) => {
			slowEntered = resolve;
		});
		using client = await RawClient.open({ port });
		// A masked "hi", mask zero, in the same packet; then one after it; then more than is held.
		const hi = "\x81\x82\0\0\0\0hi";
		client.send(Buffer.from(head("GET /ws-slow", { ...handshake, ...good }) + hi, "latin1"));
		await entered;
		client.send(Buffer.from(hi, "latin1"));
		const long = Buffer.alloc(200_000, "x");
		long.set([0x81, 0xff, 0, 0, 0, 0, 0, 3, 0x0d, 0x32, 0, 0, 0, 0]);
		client.send(long);
		const heard: number[] = [];
		const all = new Promise<void>((resolve) => {
			onSlowAccept = (connection) =>
				connection.onMessage((data) => {
					heard.push(data.length);
					if (heard.length === 3) resolve();
				});
		});
		letSlowGo();
		await all;
		expect(heard).toEqual([2, 2, 199_986]);
	});

	it("whose client leaves before it is answered is over at once", async () => {
		const { port } = await open();
		const entered = new Promise<void>((resolve) => {
			slowEntered = resolve;
		});
		using client = await RawClient.open({ port });
		client.send(head("GET /ws-slow", { ...handshake, ...good }));
		await entered;
		client.socket.end();
		await client.closed();
		letSlowGo();
	});

	it("of somebody who is signed out meanwhile never becomes a connection", async () => {
		await open();
		const entered = new Promise<void>((resolve) => {
			slowEntered = resolve;
		});
		const dialling = dial("/ws-slow");
		await entered;
		expect((listener as Listener).disconnect((who) => who === dana, closeCodes.signIn, "signed out")).toBe(1);
		letSlowGo();
		expect(await dialling).toMatchObject({ ok: false });
		expect((listener as Listener).webSocketCount).toBe(0);
	});
});

describe("disconnect", () => {
	it("closes what is open on somebody's behalf, and listens to none of it any more", async () => {
		const { port } = await open();
		const dialled = await dial("/ws");
		if (!dialled.ok) throw new Error("not connected");
		using stream = await RawClient.open({ port });
		stream.send(head("GET /stream", good));
		await stream.until(/data: 1/);
		const heard: string[] = [];
		accepted[0]?.onMessage((data) => heard.push(data.toString()));
		const closed = closeOf(dialled.connection);
		expect((listener as Listener).disconnect((who) => who === dana, closeCodes.signIn, "signed out")).toBe(2);
		dialled.connection.send("rm -rf");
		expect(await closed).toEqual([closeCodes.signIn, "signed out"]);
		expect(await stream.closed(), "no clean end").not.toContain("\r\n0\r\n");
		expect(heard).toEqual([]);
	});
});

describe("close", () => {
	it("tells WebSockets to come back, lets a request finish, and takes no new one", async () => {
		const { port } = await open();
		const dialled = await dial("/ws");
		if (!dialled.ok) throw new Error("not connected");
		const entered = new Promise<void>((resolve) => {
			slowEntered = resolve;
		});
		using client = await RawClient.open({ port });
		client.send(head("GET /slow"));
		await entered;
		const told = closeOf(dialled.connection);
		const closing = (listener as Listener).close();
		expect((await told)[0]).toBe(closeCodes.draining);
		await expect(RawClient.open({ port })).rejects.toMatchObject({ code: "ECONNREFUSED" });
		letSlowGo();
		expect(await client.closed()).toContain('{"late":true}');
		await closing;
	});

	it("lets a request finish that came over a connection which somebody else accepted, TLS included", async () => {
		const { authority } = await Authority.create("t", [], systemClock, systemRandom);
		const leaf = await authority.issue({ name: "t", hosts: ["127.0.0.1"] });
		for (const tls of [leaf, null]) {
			const served = await open({ tls });
			const from = { remoteAddress: "198.51.100.7", localAddress: "127.0.0.1" };
			const door = createServer((socket) => served.admit(socket, from)).listen(0, "127.0.0.1");
			await once(door, "listening");
			const { port } = door.address() as AddressInfo;
			const began = new Promise<void>((resolve) => {
				slowEntered = resolve;
			});
			using client = await RawClient.open({ port, ...(tls === null ? {} : { ca: authority.certPem }) });
			client.send(head("GET /slow"));
			await began;
			const closing = served.close();
			letSlowGo();
			expect(await client.closed()).toContain('{"late":true}');
			await closing;
			door.close();
		}
	});

	it("does not wait for connections that ask nothing", async () => {
		const { port } = await open({}, silentLogger, new VirtualClock());
		using idle = await RawClient.open({ port });
		using half = await RawClient.open({ port });
		half.send("GET /open HTT");
		// No time passes.
		await Promise.all([(listener as Listener).close(), idle.closed(), half.closed()]);
	});
});
