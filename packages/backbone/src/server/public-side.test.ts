import { createHash, createPublicKey, verify } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { request as httpRequest, type IncomingMessage } from "node:http";
import {
	connect as connectHttp2,
	createServer as createHttp2Server,
	type IncomingHttpHeaders,
	type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo, Socket } from "node:net";
import type { Writable } from "node:stream";
import { silentLogger, systemClock } from "@warren/kernel";
import { faultRelay, RawClient, VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import type { Transport } from "../agent/dial.ts";
import { Forwarder } from "../agent/forwarder.ts";
import { answer, TestBackbone } from "../backbone.testing.ts";
import { parseCredential, signAssertion } from "../protocol/tokens.ts";
import { frontLimits } from "./front.ts";

let backbone: TestBackbone;
beforeEach(async () => {
	backbone = await TestBackbone.open();
});
afterEach(() => backbone[Symbol.asyncDispose]());

/** Anew, with time that stands: what is counted by the second is not paid off while the test is slow. */
async function stopTime(): Promise<void> {
	await backbone[Symbol.asyncDispose]();
	backbone = await TestBackbone.open({}, undefined, { clock: new VirtualClock() });
}

/** A service that answers each request with the head and body that it received. */
async function echo(service = "web", transport: Transport = backbone.transport) {
	const { port } = await backbone.http((request, response) => {
		const body: Buffer[] = [];
		request.on("data", (chunk: Buffer) => body.push(chunk));
		request.on("end", () =>
			response.end(
				JSON.stringify({
					method: request.method,
					url: request.url,
					raw: request.rawHeaders,
					trailers: request.rawTrailers,
					body: Buffer.concat(body).toString("latin1"),
				}),
			),
		);
	});
	await backbone.agent(service, port, { transport });
}
const bodyOf = (text: string) =>
	JSON.parse(text.slice(text.indexOf("\r\n\r\n") + 4)) as {
		method: string;
		url: string;
		raw: string[];
		trailers: string[];
		body: string;
	};
const headersOf = (text: string) => {
	const { raw } = bodyOf(text);
	return raw.flatMap((name, at) => (at % 2 === 0 ? [`${name.toLowerCase()}: ${raw[at + 1]}`] : []));
};
const get = (extra = "", path = "/", host = "web.mos.test") =>
	`GET ${path} HTTP/1.1\r\nHost: ${host}\r\nConnection: close\r\n${extra}\r\n`;

describe.each(["shared", "parked"] as const)("over %s", (transport) => {
	beforeEach(() => {
		backbone.transport = transport;
	});

	describe("the public side sorts by Host before anything else", () => {
		it("I1: 421 for a name of nobody, 404 for a service of nobody, 503 with Retry-After without an agent", async () => {
			await backbone.token("idle");
			expect(await backbone.raw(get("", "/", "evil.example"))).toMatch(/^HTTP\/1.1 421 /);
			expect(await backbone.raw(get("", "/", "a.b.mos.test"))).toMatch(/^HTTP\/1.1 421 /);
			expect(await backbone.raw(get("", "/", "nobody.mos.test"))).toMatch(/^HTTP\/1.1 404 /);
			expect(await backbone.raw(get("", "/", "idle.mos.test"))).toMatch(/^HTTP\/1.1 503 [\s\S]*Retry-After: \d/);
		});

		it.each(["parked", "shared", "websocket", "http2"] as const)(
			"carries a request and its body over %s",
			async (each) => {
				await echo("web", each);
				const text = await backbone.raw(
					`POST /a%2Fb/../c?x=1&y HTTP/1.1\r\nHost: web.mos.test\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello`,
				);
				expect(text).toMatch(/^HTTP\/1.1 200 OK\r\n/);
				expect(bodyOf(text)).toMatchObject({ method: "POST", url: "/a%2Fb/../c?x=1&y", body: "hello" });
				expect(headersOf(text).filter((line) => line.startsWith("x-mosb"))).toEqual([]);
				expect(headersOf(text)).toContain("x-forwarded-for: 127.0.0.1");
			},
		);

		it("serves pipelined requests in their order, and keeps the connection", async () => {
			await echo();
			using client = await backbone.client();
			const one = (n: number) => `GET /${n} HTTP/1.1\r\nHost: web.mos.test\r\n\r\n`;
			client.send(one(1) + one(2) + one(3));
			const seen = await client.until(/"url":"\/3"/);
			expect([...seen.matchAll(/"url":"\/(\d)"/g)].map((match) => match[1])).toEqual(["1", "2", "3"]);
		});

		it("answers its own names itself, on the same port", async () => {
			expect((await backbone.api("GET", "/healthz", { admin: false })).json).toEqual({ status: "ok" });
			const page = await backbone.raw("GET / HTTP/1.1\r\nHost: mos.test\r\nConnection: close\r\n\r\n");
			expect(page).toContain("FOR CLIENTS / PRINCIPALS");
		});
	});

	describe("identity is injected by the backbone alone", () => {
		it("I2: a principal with a grant arrives with its headers and a JWT that its keys verify", async () => {
			await echo();
			const { id, credential } = await backbone.principal("web");
			const lines = headersOf(await backbone.raw(get(`x-backbone-principal: ${credential}\r\n`)));
			expect(lines).toEqual(
				expect.arrayContaining([`x-mosb-sub: ${id}`, "x-mosb-name: Ada", "x-mosb-email: ada@example.com"]),
			);
			expect(lines.some((line) => line.startsWith("x-backbone"))).toBe(false);
			const jwt = lines.find((line) => line.startsWith("x-mosb-jwt: "))?.slice(12) ?? "";
			const [head = "", claims = "", signature = ""] = jwt.split(".");
			const { keys } = (await backbone.api("GET", "/.well-known/jwks.json")).json as { keys: JsonWebKey[] };
			const key = createPublicKey({ key: keys[0] as never, format: "jwk" });
			expect(verify(null, Buffer.from(`${head}.${claims}`), key, Buffer.from(signature, "base64url"))).toBe(true);
			expect(JSON.parse(Buffer.from(claims, "base64url").toString())).toMatchObject({
				sub: id,
				aud: "web",
				name: "Ada",
			});
		});

		it.each([
			"x-mosb-sub: forged",
			"X-MOSB-Sub: forged",
			"x_mosb_sub: forged",
			"x.mosb.sub: forged",
			"X-Mosb_Sub: forged",
			"x+mosb!sub: forged",
			"X`Mosb|Sub: forged",
			"x-mosb-sub-id: forged",
			"x-mosb-jwt: forged",
			"x_backbone_principal: forged",
			"x-backbone_assertion: forged",
			"x-backbone-anything: forged",
		])("I3: %s from outside never reaches a service", async (line) => {
			await echo();
			const { credential } = await backbone.principal("web");
			for (const proof of ["", `x-backbone-principal: ${credential}\r\n`]) {
				const lines = headersOf(await backbone.raw(get(`${proof}${line}\r\n`)));
				expect(lines.length).toBeGreaterThan(3);
				expect(lines.filter((each) => each.includes("forged"))).toEqual([]);
			}
		});

		it("I4: a Connection header cannot take an injected field away, nor name what frames a message", async () => {
			await echo();
			const { id, credential } = await backbone.principal("web");
			const text = await backbone.raw(
				`GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close, x-mosb-sub, x-mosb-jwt, x-other\r\nx-other: 1\r\nx-backbone-principal: ${credential}\r\n\r\n`,
			);
			expect(headersOf(text)).toContain(`x-mosb-sub: ${id}`);
			expect(headersOf(text).some((line) => line.startsWith("x-other"))).toBe(false);
			expect(await backbone.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: host\r\n\r\n")).toMatch(
				/^HTTP\/1.1 400 /,
			);
		});

		it("I5: trailers lose fields of ours", async () => {
			await echo();
			const text = await backbone.raw(
				"POST / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nx-mosb-sub: forged\r\nX_Mosb_Name: forged\r\nx-sum: 1\r\n\r\n",
			);
			expect(bodyOf(text)).toMatchObject({ body: "hello", trailers: ["x-sum", "1"] });
		});

		it("I6: a wrong or malformed credential is 401, never anonymous; two of them too; no grant is 403", async () => {
			await echo();
			const { credential } = await backbone.principal();
			const status = async (extra: string, path = "/") => Number((await backbone.raw(get(extra, path))).split(" ")[1]);
			expect(await status("")).toBe(200);
			expect(await status("x-backbone-principal: \r\n")).toBe(401);
			expect(await status("x-backbone-principal: nonsense\r\n")).toBe(401);
			expect(
				await status(`x-backbone-principal: ${credential.slice(0, -1)}${credential.endsWith("A") ? "B" : "A"}\r\n`),
			).toBe(401);
			expect(await status(`x-backbone-principal: ${credential}\r\nx-backbone-principal: ${credential}\r\n`)).toBe(401);
			expect(await status("x-backbone-assertion: a.b\r\n")).toBe(401);
			expect(await status("", "/?_mosb=nonsense")).toBe(401);
			expect(await status("", "/?_mosb=")).toBe(401);
			expect(await status("", "/?%5fmosb=nonsense")).toBe(401);
			expect(await status(`x-backbone-principal: ${credential}\r\n`)).toBe(403);
		});

		it("I7: revoking a grant, rotating and revoking the principal each end it at once", async () => {
			await echo();
			const { id, credential } = await backbone.principal("web");
			const ask = async (each = credential) =>
				Number((await backbone.raw(get(`x-backbone-principal: ${each}\r\n`))).split(" ")[1]);
			const link = await backbone.api("POST", "/url-tokens", {
				admin: false,
				headers: { "x-backbone-principal": credential },
				body: { service: "web", expires_in: 60 },
			});
			const follow = async () => Number((await backbone.raw(get("", `/?_mosb=${link.json.token}`))).split(" ")[1]);
			expect([await ask(), await follow()]).toEqual([200, 200]);
			expect((await backbone.api("DELETE", `/admin/api/grants/${id}/web`)).status).toBe(200);
			expect([await ask(), await follow()]).toEqual([403, 403]);
			await backbone.api("POST", "/admin/api/grants", { body: { principal_id: id, service: "web" } });
			expect(await ask()).toBe(200);
			const rotated = await backbone.api("POST", "/principals/rotate", {
				admin: false,
				headers: { "x-backbone-principal": credential },
			});
			expect(rotated.json.principal.key_version).toBe(2);
			expect([await ask(), await follow(), await ask(rotated.json.credential)]).toEqual([401, 401, 200]);
			await backbone.api("DELETE", `/admin/api/principals/${id}`);
			expect(await ask(rotated.json.credential)).toBe(401);
		});

		it("I8: an assertion overrides name and email; the registered ones travel beside; each binding holds", async () => {
			await echo();
			const { id, credential } = await backbone.principal("web");
			const key = parseCredential(credential)?.key as Buffer;
			const exp = Math.floor(Date.now() / 1000) + 60;
			const ask = (assertion: object) =>
				backbone.raw(
					get(
						`x-backbone-principal: ${credential}\r\nx-backbone-assertion: ${signAssertion(key, assertion as never)}\r\n`,
					),
				);
			const text = await ask({ sub_id: "alice-session-7", name: "Alice", exp });
			expect(headersOf(text)).toEqual(
				expect.arrayContaining([
					`x-mosb-sub: ${id}`,
					"x-mosb-sub-id: alice-session-7",
					"x-mosb-name: Alice",
					"x-mosb-email: ada@example.com",
					"x-mosb-registered-name: Ada",
				]),
			);
			expect(await ask({ sub_id: "a", exp, jti: "once" })).toMatch(/^HTTP\/1.1 200/);
			for (const bad of [
				{ sub_id: "a", exp, jti: "once" },
				{ sub_id: "a", exp: exp - 600 },
				{ sub_id: "a", exp: exp + 100_000 },
				{ sub_id: "a", exp, aud: "other" },
				{ sub_id: "a", exp, path: "/other" },
				{ sub_id: "a", exp, method: "POST" },
				{ sub_id: "a\r\nx-mosb-sub: forged", exp },
				{ exp },
			])
				expect(await ask(bad)).toMatch(/^HTTP\/1.1 401/);
		});

		it("I9: a URL token is taken out before forwarding, and a browser gets a cookie for it, once", async () => {
			await echo();
			const { id, credential } = await backbone.principal("web");
			const made = await backbone.api("POST", "/url-tokens", {
				admin: false,
				headers: { "x-backbone-principal": credential },
				body: { service: "web", expires_in: 3600 },
			});
			const { token, url } = made.json as { token: string; url: string };
			expect(url).toBe(`http://web.mos.test:${backbone.port}?_mosb=${token}`);
			const text = await backbone.raw(get("", `/p?a=1&_mosb=${token}&b=2`));
			expect(bodyOf(text).url).toBe("/p?a=1&b=2");
			expect(text).toContain("Referrer-Policy: no-referrer");
			expect(headersOf(text)).toContain(`x-mosb-sub: ${id}`);
			const opened = await backbone.raw(get("Sec-Fetch-Mode: navigate\r\n", `//evil.example/?_mosb=${token}`));
			expect(opened).toMatch(/^HTTP\/1.1 303 [\s\S]*Location: \/evil.example\/\r\nSet-Cookie: mosb=/);
			const cookie = /Set-Cookie: ([^;]+)/.exec(opened)?.[1] as string;
			const kept = await backbone.raw(get(`Cookie: a=1; ${cookie}; b=2\r\n`));
			expect(headersOf(kept)).toEqual(expect.arrayContaining([`x-mosb-sub: ${id}`, "cookie: a=1; b=2"]));
			const foreign = `POST / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\nContent-Length: 0\r\nOrigin: http://evil.example\r\nCookie: ${cookie}\r\n\r\n`;
			expect(await backbone.raw(foreign)).toMatch(/^HTTP\/1.1 403/);
		});

		it("I10: a service that requires identity answers anonymous requests 401", async () => {
			await echo();
			await backbone.api("PATCH", "/admin/api/services/web", { body: { settings: { require_identity: true } } });
			expect(await backbone.raw(get())).toMatch(/^HTTP\/1.1 401/);
		});
	});

	describe("an answer", () => {
		const serve = async (accept: (socket: Socket) => void) => {
			const { port } = await backbone.tcp(accept);
			await backbone.agent("web", port);
		};

		it("of unknown length ends whole for HTTP/1.1, and its connection goes on", async () => {
			await serve((socket) => socket.once("data", () => socket.end("HTTP/1.1 200 OK\r\n\r\nall of it")));
			using client = await backbone.client();
			client.send("GET / HTTP/1.1\r\nHost: web.mos.test\r\n\r\n");
			expect(await client.until(/0\r\n\r\n$/)).toContain("Transfer-Encoding: chunked\r\n\r\n9\r\nall of it\r\n");
		});

		it.each([["Content-Length: 100\r\n\r\nhalf"], ["Transfer-Encoding: chunked\r\n\r\n64\r\nhalf"]])(
			"that the service cuts is cut for the client: %j",
			async (rest) => {
				await serve((socket) => socket.once("data", () => socket.end(`HTTP/1.1 200 OK\r\n${rest}`)));
				using client = await backbone.client();
				let reset = false;
				client.socket.on("error", (fault: NodeJS.ErrnoException) => (reset = fault.code === "ECONNRESET"));
				client.send("GET / HTTP/1.1\r\nHost: web.mos.test\r\n\r\n");
				expect(await client.closed()).not.toMatch(/\r\n0\r\n\r\n/);
				expect(reset).toBe(true);
			},
		);

		it("whose agent is lost midway breaks the connection, also when it would end by closing", async () => {
			const { port } = await backbone.tcp((socket) =>
				socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\n\r\nfirst part")),
			);
			await using relay = await faultRelay({ host: "127.0.0.1", port: backbone.port });
			await backbone.agent("web", port, { via: relay.port });
			using client = await backbone.client();
			let reset = false;
			client.socket.on("error", (fault: NodeJS.ErrnoException) => (reset = fault.code === "ECONNRESET"));
			client.send("GET / HTTP/1.1\r\nHost: web.mos.test\r\n\r\n");
			await client.until(/first part/);
			relay.cut();
			expect(await client.closed()).not.toMatch(/\r\n0\r\n\r\n/);
			expect(reset).toBe(true);
		});

		it("that is no HTTP is 502, and bytes after its end never become the next one's", async () => {
			let asked = 0;
			await serve((socket) =>
				socket.on("data", () => {
					asked += 1;
					if (asked === 1) socket.write("SSH-2.0-OpenSSH\r\n\r\n");
					else socket.write(`${answer("right")}${answer("smuggled")}`);
				}),
			);
			expect(await backbone.raw(get())).toMatch(/^HTTP\/1.1 502/);
			expect(await backbone.raw(get())).toMatch(/right$/);
			expect(await backbone.raw(get())).toMatch(/right$/);
		});

		it("to HEAD has no body, whatever its Content-Length says", async () => {
			await serve((socket) => socket.on("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 50\r\n\r\n")));
			using client = await backbone.client();
			client.send("HEAD / HTTP/1.1\r\nHost: web.mos.test\r\n\r\nHEAD /2 HTTP/1.1\r\nHost: web.mos.test\r\n\r\n");
			expect((await client.until(/50\r\n\r\nHTTP[\s\S]*50\r\n\r\n/)).match(/200 OK/g)).toHaveLength(2);
		});

		it("streams as it comes: an event is there before the next is made", async () => {
			let service: Socket | undefined;
			await serve((socket) => {
				service = socket;
				socket.once("data", () =>
					socket.write(
						"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: 1\n\n\r\n",
					),
				);
			});
			using client = await backbone.client();
			client.send("GET / HTTP/1.1\r\nHost: web.mos.test\r\n\r\n");
			await client.until(/data: 1\n\n/);
			service?.write("9\r\ndata: 2\n\n\r\n");
			await client.until(/data: 2\n\n/);
		});

		it("of a WebSocket is checked, then bytes pass both ways, and its link serves the next", async () => {
			const accept = createHash("sha1")
				.update("AAAAAAAAAAAAAAAAAAAAAA==258EAFA5-E914-47DA-95CA-C5AB0DC85B11")
				.digest("base64");
			let good = false;
			await serve((socket) =>
				socket.once("data", () => {
					const head = "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n";
					socket.write(`${head}Sec-WebSocket-Accept: ${good ? accept : "wrong"}\r\n\r\n`);
					socket.on("data", (bytes) => socket.write(`echo ${bytes.toString()}`));
					socket.on("end", () => socket.end());
				}),
			);
			const upgrade =
				"GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";
			using refused = await backbone.client();
			refused.send(upgrade);
			await refused.until(/^HTTP\/1.1 502/);
			good = true;
			using client = await backbone.client();
			client.send(upgrade);
			await client.until(/^HTTP\/1.1 101 [\s\S]*\r\n\r\n/);
			client.send("hello");
			await client.until(/echo hello/);
			client.socket.end();
			await client.closed();
		});

		it("of 64 MB passes both ways, byte for byte", async () => {
			const blocks = 64;
			const block = Buffer.alloc(1024 * 1024, "0123456789abcdef");
			const due = createHash("sha256");
			for (let each = 0; each < blocks; each++) due.update(block);
			const sum = due.digest("hex");
			const { port } = await backbone.http((request, response) => {
				const got = createHash("sha256");
				request.on("data", (chunk: Buffer) => got.update(chunk));
				request.on("end", () => {
					response.setHeader("x-sum", got.digest("hex"));
					pump(response, block, blocks);
				});
			});
			await backbone.agent("web", port);
			const request = httpRequest({
				port: backbone.port,
				host: "127.0.0.1",
				method: "POST",
				headers: { host: "web.mos.test" },
			});
			const answered = once(request, "response");
			pump(request, block, blocks);
			const [response] = (await answered) as [IncomingMessage];
			const got = createHash("sha256");
			for await (const chunk of response) got.update(chunk as Buffer);
			expect([response.headers["x-sum"], got.digest("hex")]).toEqual([sum, sum]);
		});

		it("that nobody reads holds its service back, and nobody else", async () => {
			const block = Buffer.alloc(1024 * 1024);
			let taken = 0;
			const { port } = await backbone.http((request, response) => {
				if (request.url === "/quick") return void response.end("ok");
				const more = () => {
					while (taken < 256) {
						taken += 1;
						if (!response.write(block)) return void response.once("drain", more);
					}
					response.end();
				};
				more();
			});
			await backbone.agent("web", port);
			using stalled = await backbone.client();
			stalled.send(get());
			await stalled.until(/200 OK/);
			stalled.socket.pause();
			for (let each = 0; each < 50; each++) expect(await backbone.raw(get("", "/quick"))).toMatch(/ok$/);
			expect(taken, "megabytes that the service could write").toBeLessThan(64);
		});
	});

	/** Writes a block so many times, at the reader's pace, and ends. */
	function pump(to: Writable, block: Buffer, times: number): void {
		let left = times;
		const more = () => {
			while (left > 0) {
				left -= 1;
				if (!to.write(block)) return void to.once("drain", more);
			}
			to.end();
		};
		more();
	}

	describe("limits", () => {
		it("a head above 32 KiB, or of more than 100 fields, is 431 and never reaches a service; just below it does", async () => {
			// Node's own server takes half of that.
			let reached = 0;
			const service = await backbone.tcp((socket) => {
				let seen = "";
				socket.on("data", (chunk: Buffer) => {
					seen += chunk.toString("latin1");
					if (!seen.endsWith("\r\n\r\n")) return;
					seen = "";
					reached += 1;
					socket.write(answer("ok"));
				});
			});
			await backbone.agent("web", service.port);
			const head = (bytes: number) => {
				const start = "GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n";
				// Single fields have a limit below it: several share the rest.
				let fields = "";
				for (let each = 0; start.length + fields.length + 2 < bytes; each++) {
					const left = bytes - start.length - fields.length - 2;
					const size = left > 8_100 ? 4_000 : left;
					fields += `X-${each}: ${"x".repeat(size - `X-${each}: \r\n`.length)}\r\n`;
				}
				return `${start}${fields}\r\n`;
			};
			const status = async (text: string) => (await backbone.raw(text)).slice(9, 12);
			expect(head(32 * 1024)).toHaveLength(32 * 1024);
			expect(await status(head(32 * 1024))).toBe("200");
			expect(await status(head(32 * 1024 + 512))).toBe("431");
			// Not even ended: it is refused as soon as it is too large.
			expect(await status(head(64 * 1024).slice(0, 40 * 1024))).toBe("431");
			const many = (count: number) => get(Array.from({ length: count - 2 }, (_, each) => `x-${each}: 1\r\n`).join(""));
			expect(await status(many(100))).toBe("200");
			expect(await status(many(101))).toBe("431");
			expect(reached).toBe(2);
		});

		it("a slow head is told 408, and an unused connection ends", async () => {
			const clock = new VirtualClock();
			await using quick = await TestBackbone.open({}, undefined, { clock });
			const whole = "GET / HTTP/1.1\r\nHost: nobody.mos.test\r\n\r\n";
			using slow = await quick.client();
			using unused = await quick.client();
			// With the answer to the first it is known that what came in the same piece is there, too.
			slow.send(`${whole}GET / HTTP/1.1\r\nHost: `);
			unused.send(whole);
			await slow.until(/"unknown_service"[^}]*}/);
			await unused.until(/"unknown_service"[^}]*}/);
			await new Promise(setImmediate);
			await clock.advance(frontLimits.headTimeoutMs + 2 * frontLimits.sweepMs);
			expect(await slow.closed()).toMatch(/}HTTP\/1.1 408 /);
			await clock.advance(frontLimits.keepAliveMs);
			expect(await unused.closed()).toMatch(/}$/);
		});

		it("rates, addresses and bodies of a service answer 429 with Retry-After, 403 and 413", async () => {
			await stopTime();
			await echo("web", transport);
			const set = (settings: object) => backbone.api("PATCH", "/admin/api/services/web", { body: { settings } });
			await set({ requests_per_second: 1 });
			expect(await backbone.raw(get())).toMatch(/^HTTP\/1.1 200/);
			expect(await backbone.raw(get())).toMatch(/^HTTP\/1.1 429 [\s\S]*Retry-After: 1\r\n/);
			await set({ requests_per_second: 1000, max_body_bytes: 5 });
			const post = (framing: string, body: string) =>
				backbone.raw(`POST / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n${framing}\r\n\r\n${body}`);
			expect(await post("Content-Length: 5", "hello")).toMatch(/^HTTP\/1.1 200/);
			expect(await post("Content-Length: 6", "hello!")).toMatch(/^HTTP\/1.1 413/);
			expect(await post("Transfer-Encoding: chunked", "6\r\nhello!\r\n0\r\n\r\n")).toMatch(/^HTTP\/1.1 413/);
			await set({ deny: ["127.0.0.0/8"] });
			expect(await backbone.raw(get())).toMatch(/^HTTP\/1.1 403/);
		});

		it("I3: what a client claims of its address counts for nothing, and no spelling of it reaches a service", async () => {
			await echo();
			const claims = [
				"X-Forwarded-For",
				"x_forwarded_for",
				"X-Forwarded.For",
				"Forwarded",
				"X-Real-IP",
				"x_forwarded_proto",
			];
			const lines = claims.map((name) => `${name}: for=10.9.8.7\r\n`).join("");
			const seen = headersOf(await backbone.raw(get(lines)));
			expect(seen.filter((each) => each.includes("10.9.8.7"))).toEqual([]);
			expect(seen).toContain("x-forwarded-for: 127.0.0.1");
			for (const settings of [{ deny: ["127.0.0.0/8"] }, { allow: ["10.0.0.0/8"] }]) {
				await backbone.api("PATCH", "/admin/api/services/web", { body: { settings } });
				expect(await backbone.raw(get("X-Forwarded-For: 10.9.8.7\r\n"))).toMatch(/^HTTP\/1.1 403/);
			}
		});

		it("what another agent could answer is asked again only when that does no harm", async () => {
			let seen = 0;
			const silent = await backbone.tcp((socket) =>
				socket.on("data", () => {
					seen += 1;
					socket.destroy();
				}),
			);
			const token = await backbone.token("web");
			await backbone.agent("web", silent.port, { token });
			const post = (body: string) =>
				backbone.raw(
					`POST / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n${body}`,
				);
			expect(await post("")).toMatch(/^HTTP\/1.1 502/);
			expect(await post("hello")).toMatch(/^HTTP\/1.1 502/);
			expect(seen).toBe(2);
			expect(await backbone.raw(get())).toMatch(/^HTTP\/1.1 502/);
			// Three tries in all.
			expect(seen).toBe(5);
		});

		it.each(["http/1.1", "h2"])(
			"half a head that a service leaves behind is no part of the next answer, %s",
			async (version) => {
				let seen = 0;
				const { port } = await backbone.tcp((socket) =>
					socket.on("data", () => {
						seen += 1;
						if (seen === 1) socket.end("HTTP/1.1 200 OK\r\nSet-Cookie: session=another; Pa");
						else socket.write(answer("whole"));
					}),
				);
				await backbone.agent("web", port);
				if (version === "http/1.1") {
					const text = await backbone.raw(get());
					expect(text).toMatch(/^HTTP\/1.1 200 OK\r\nContent-Length: 5\r\n[^]*\r\n\r\nwhole$/);
					expect(text).not.toContain("another");
				} else {
					const session = connectHttp2(`http://127.0.0.1:${backbone.port}`);
					const stream = session.request({ ":path": "/", ":authority": "web.mos.test" });
					const [head] = (await once(stream, "response")) as [IncomingHttpHeaders & { ":status": number }];
					expect([head[":status"], head["content-length"], head["set-cookie"]]).toEqual([200, "5", undefined]);
					session.destroy();
				}
				expect(seen).toBe(2);
			},
		);

		it("bandwidth holds uploads and answers back, and both arrive whole", async () => {
			await echo();
			await backbone.api("PATCH", "/admin/api/services/web", { body: { settings: { bytes_per_second: 400_000 } } });
			const body = "0123456789".repeat(6_000);
			const framed = [
				[`Content-Length: ${body.length}`, body],
				["Transfer-Encoding: chunked", `${body.length.toString(16)}\r\n${body}\r\n0\r\n\r\n`],
			] as const;
			for (const [field, sent] of framed) {
				const text = await backbone.raw(
					`POST / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n${field}\r\n\r\n${sent}`,
				);
				expect(bodyOf(text).body).toBe(body);
			}
		});

		it("a refused target is asked of the next agent, and a dead one is 502", async () => {
			const dead = await backbone.tcp(() => {});
			await new Promise((resolve) => dead.server.close(resolve));
			const token = await backbone.token("web");
			await backbone.agent("web", dead.port, { token });
			expect(await backbone.raw(get())).toMatch(/^HTTP\/1.1 502/);
			const { port } = await backbone.http((_request, response) => response.end("alive"));
			await backbone.agent("web", port, { token });
			for (let each = 0; each < 6; each++) expect(await backbone.raw(get())).toMatch(/alive$/);
		});
	});

	describe("agents", () => {
		it("a newer one of the same name replaces the older, which stays away", async () => {
			const { port } = await backbone.http((_request, response) => response.end("ok"));
			const token = await backbone.token("web");
			const older = await backbone.agent("web", port, { token, name: "box" });
			await backbone.agent("web", port, { token, name: "box" });
			await expect.poll(() => older.status).toMatchObject({ state: "stopped", reason: expect.stringContaining("box") });
			expect(await backbone.raw(get())).toMatch(/ok$/);
		});

		it("come back after a cut", async () => {
			const { port } = await backbone.http((_request, response) => response.end("ok"));
			await using relay = await faultRelay({ host: "127.0.0.1", port: backbone.port });
			await backbone.agent("web", port, { via: relay.port });
			expect(await backbone.raw(get())).toMatch(/ok$/);
			relay.cut();
			await expect.poll(() => backbone.raw(get()), { timeout: 30_000 }).toMatch(/ok$/);
		});

		it("that are half-open are found by their pings, and a request of theirs goes to another", {
			timeout: 60_000,
		}, async (context) => {
			context.skip(process.env["WARREN_LONG_TESTS"] !== "1", "it waits for pings: WARREN_LONG_TESTS=1 runs it");
			const { port } = await backbone.http((_request, response) => response.end("ok"));
			const token = await backbone.token("web");
			await using relay = await faultRelay({ host: "127.0.0.1", port: backbone.port });
			await backbone.agent("web", port, { via: relay.port, token });
			relay.faults.stalled = true;
			const asked = backbone.raw(get());
			await backbone.agent("web", port, { token });
			expect(await asked).toMatch(/ok$/);
		});

		it("a revoked token ends them at once", async () => {
			const { port } = await backbone.http((_request, response) => response.end("ok"));
			const agent = await backbone.agent("web", port);
			const { tokens } = (await backbone.api("GET", "/admin/api/tokens")).json as { tokens: { id: string }[] };
			await backbone.api("DELETE", `/admin/api/tokens/${tokens[0]?.id}`);
			await expect.poll(() => agent.status.state).toBe("stopped");
			expect(await backbone.raw(get())).toMatch(/^HTTP\/1.1 503/);
		});

		it("a burst beyond the ready links is served by links that it asks for", async () => {
			const { port } = await backbone.http((_request, response) => void setImmediate(() => response.end("ok")));
			await backbone.agent("web", port, { spareLinks: 1 });
			const answers = await Promise.all(Array.from({ length: 60 }, () => backbone.raw(get())));
			expect(answers.filter((text) => text.endsWith("ok"))).toHaveLength(60);
		});

		it("TCP services get a port; bytes, half-closes and cuts pass", async () => {
			const { port } = await backbone.tcp((socket) => {
				socket.on("data", (bytes) => socket.write(`got ${bytes.toString()}`));
				socket.on("end", () => socket.end("bye"));
			});
			await backbone.agent("db", port, { kind: "tcp", target: { host: "127.0.0.1", port, proxyProtocol: true } });
			const { services } = (await backbone.api("GET", "/admin/api/services")).json as {
				services: { port: number; url: string }[];
			};
			expect(services[0]?.url).toBe(`tcp://mos.test:${services[0]?.port}`);
			using client = await RawClient.open({ port: services[0]?.port as number });
			client.send("hello");
			await client.until(/got PROXY TCP4 127.0.0.1 127.0.0.1 \d+ \d+\r\n/);
			await client.until(/hello/);
			client.socket.end();
			expect(await client.closed()).toMatch(/bye$/);
		});

		it("UDP services get a port, and datagrams come back to who sent them", async () => {
			const service = createSocket("udp4");
			service.on("message", (bytes, from) => service.send(`echo ${bytes.toString()}`, from.port, from.address));
			service.bind(0, "127.0.0.1");
			await once(service, "listening");
			await backbone.agent("dns", service.address().port, { kind: "udp" });
			const { services } = (await backbone.api("GET", "/admin/api/services")).json as { services: { port: number }[] };
			const client = createSocket("udp4");
			const came = once(client, "message");
			client.send("hi", services[0]?.port as number, "127.0.0.1");
			expect(String((await came)[0])).toBe("echo hi");
			client.close();
			service.close();
		});
	});

	describe("warren forward", () => {
		it("leads a principal with a grant to a TCP service that has no port of its own, and nobody else", async () => {
			const { port } = await backbone.tcp((socket) => {
				socket.on("data", (bytes) => socket.write(`got ${bytes.toString()}`));
				socket.on("end", () => socket.end("bye"));
			});
			await backbone.agent("db", port, { kind: "tcp" });
			await backbone.api("PATCH", "/admin/api/services/db", { body: { settings: { require_identity: true } } });
			const { services } = (await backbone.api("GET", "/admin/api/services")).json as { services: { url: string }[] };
			expect(services[0]?.url).toBe("tcp://db");
			const open = (credential: string) =>
				Forwarder.open(
					{ clock: systemClock, logger: silentLogger },
					{
						target: { url: new URL(`http://127.0.0.1:${backbone.port}`), tls: {} },
						service: "db",
						credential,
						host: "127.0.0.1",
						port: 0,
					},
				);
			expect(await open((await backbone.principal()).credential)).toMatchObject({
				ok: false,
				message: expect.stringContaining("grant"),
			});
			expect(await open("nonsense")).toMatchObject({ ok: false });
			const opened = await open((await backbone.principal("db")).credential);
			if (!opened.ok) throw new Error(opened.message);
			using client = await RawClient.open({ port: opened.forwarder.port });
			client.send("hello");
			await client.until(/got hello/);
			client.socket.end();
			expect(await client.closed()).toMatch(/bye$/);
			await opened.forwarder.close();
		});

		it("refuses HTTP services: a bare stream could write the identity itself", async () => {
			await echo();
			const { credential } = await backbone.principal("web");
			const text = `GET /forward/web HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\nx-backbone-principal: ${credential}\r\n\r\n`;
			expect(await backbone.raw(text)).toMatch(/^HTTP\/1.1 409/);
		});
	});

	describe("HTTP/2 services", () => {
		it("gRPC: streams both ways, with trailers, identity injected, forged fields gone", async () => {
			const server = createHttp2Server();
			server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
				stream.respond(
					{
						":status": 200,
						"content-type": "application/grpc",
						"x-sub": String(headers["x-mosb-sub"]),
						"x-forged": String(headers["x_mosb_sub"]),
					},
					{ waitForTrailers: true },
				);
				stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0", "x-mosb-sub": "forged" }));
				stream.on("data", (bytes: Buffer) => stream.write(`echo ${bytes.toString()}`));
				stream.on("end", () => stream.end());
			});
			await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
			await backbone.agent("rpc", (server.address() as AddressInfo).port, { kind: "h2" });
			const { id, credential } = await backbone.principal("rpc");
			const session = connectHttp2(`http://127.0.0.1:${backbone.port}`);
			const stream = session.request(
				{
					":method": "POST",
					":path": "/svc/Method",
					":authority": "rpc.mos.test",
					"x-backbone-principal": credential,
					x_mosb_sub: "forged",
					te: "trailers",
				},
				{ endStream: false },
			);
			const [answered] = (await once(stream, "response")) as [Record<string, string>];
			expect(answered).toMatchObject({ ":status": 200, "x-sub": id, "x-forged": "undefined" });
			let got = "";
			stream.setEncoding("utf8").on("data", (text: string) => (got += text));
			const trailers = once(stream, "trailers");
			const ended = once(stream, "end");
			stream.write("one");
			await expect.poll(() => got).toBe("echo one");
			stream.end("two");
			expect((await trailers)[0]).toMatchObject({ "grpc-status": "0" });
			expect((await trailers)[0]).not.toHaveProperty("x-mosb-sub");
			await ended;
			expect(got).toBe("echo oneecho two");
			const refused = session.request({
				":path": "/",
				":authority": "rpc.mos.test",
				"x-backbone-principal": "nonsense",
			});
			expect(((await once(refused, "response")) as [Record<string, number>])[0][":status"]).toBe(401);
			session.destroy();
			server.close();
		});
	});
});
