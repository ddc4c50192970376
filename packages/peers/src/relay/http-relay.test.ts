import { once } from "node:events";
import { request as httpRequest } from "node:http";
import { faultRelay, hostilePeer, RawClient } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { maxHops } from "./isolation.ts";
import { relayNode } from "./relay-node.testing.ts";

const upstream = { "x-mobux-upstream-authorization": "Bearer for-the-peer" };
const json = (answer: Response) => answer.json() as Promise<Record<string, unknown>>;

describe("the relay's headers", () => {
	it("swap the credential: this node's never reaches the peer", async () => {
		await using peer = await hostilePeer((_request, response) => response.end("ok"));
		await using node = await relayNode();
		const id = await node.add(peer);
		await node.fetch(`/r/${id}/api/me?x=1&y=%2F`, { headers: upstream });
		await node.fetch(`/r/${id}/api/me`);
		const [first, second] = peer.requests.filter(({ line }) => line.includes("/api/me"));
		expect(first?.line).toBe("GET /api/me?x=1&y=%2F");
		expect(first?.headers["authorization"]).toBe("Bearer for-the-peer");
		expect(second?.headers["authorization"]).toBeUndefined();
		expect(peer.received()).not.toContain("Bearer me");
		expect(peer.received().toLowerCase()).not.toContain("x-mobux");
	});

	it("that pass are those on the list, out and back", async () => {
		await using peer = await hostilePeer((_request, response) => {
			response.writeHead(200, {
				"content-type": "text/html",
				"set-cookie": ["a=b", "__Host-warren=stolen"],
				"clear-site-data": '"*"',
				"service-worker-allowed": "/",
				location: "https://evil.example/",
				link: "<https://evil.example/x.js>; rel=preload; as=script",
				refresh: "0; url=https://evil.example/",
				"alt-svc": 'h2="evil.example:443"',
				"access-control-allow-origin": "*",
				"access-control-allow-credentials": "true",
				"www-authenticate": "Basic",
				"content-encoding": "gzip",
				"content-security-policy": "default-src *",
				"x-frame-options": "ALLOWALL",
				"strict-transport-security": "max-age=0",
				"public-key-pins": "x",
				nel: "x",
				"report-to": "x",
				sourcemap: "/x",
				"x-warren-relay": "1",
				"permissions-policy": "camera=*",
				"cache-control": "public, max-age=99999",
				etag: '"e"',
				"content-length": "4",
			});
			response.end("<b>!");
		});
		await using node = await relayNode();
		const id = await node.add(peer);
		const answer = await node.fetch(`/r/${id}/api/x`, {
			headers: {
				...upstream,
				cookie: "session=1",
				origin: node.origin,
				referer: `${node.origin}/secret`,
				"x-forwarded-for": "1.1.1.1",
				"x-anything": "else",
				"if-none-match": '"q"',
				accept: "text/html",
			},
		});
		expect([...answer.headers.keys()].sort()).toEqual([
			"cache-control",
			"connection",
			"content-disposition",
			"content-length",
			"content-security-policy",
			"content-type",
			"cross-origin-resource-policy",
			"date",
			"etag",
			"keep-alive",
			"referrer-policy",
			"x-content-type-options",
			"x-warren-relay",
		]);
		expect(Object.fromEntries(answer.headers)).toMatchObject({
			"cache-control": "no-store",
			"content-disposition": "attachment",
			"content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
			"content-type": "application/octet-stream",
			"cross-origin-resource-policy": "same-origin",
			"x-content-type-options": "nosniff",
			"x-warren-relay": "0",
		});
		expect(await answer.text()).toBe("<b>!");
		const sent = Object.keys(peer.requests.find(({ line }) => line === "GET /api/x")?.headers ?? {}).sort();
		expect(sent).toEqual([
			"accept",
			"accept-encoding",
			"accept-language",
			"authorization",
			"connection",
			"host",
			"if-none-match",
			"user-agent",
			"x-warren-hops",
		]);
	});

	it.each([
		["application/json; charset=utf-8", "application/json"],
		["APPLICATION/JSON", "application/json"],
		["text/event-stream", "text/event-stream"],
		["text/html", "application/octet-stream"],
		["image/svg+xml", "application/octet-stream"],
		["text/javascript", "application/octet-stream"],
		["application/json, text/html", "application/octet-stream"],
		["application/xhtml+xml", "application/octet-stream"],
		["", "application/octet-stream"],
	])("make the type %j one that no browser renders", async (type, expected) => {
		await using peer = await hostilePeer((_request, response) => {
			if (type !== "") response.setHeader("content-type", type);
			response.end("{}");
		});
		await using node = await relayNode();
		const answer = await node.fetch(`/r/${await node.add(peer)}/api/x`);
		expect(answer.headers.get("content-type")).toBe(expected);
	});
});

describe("the relay refuses", () => {
	it("what a browser would treat as a document, a script or another origin's", async () => {
		await using peer = await hostilePeer((_request, response) => response.end("ok"));
		await using node = await relayNode();
		const path = `/r/${await node.add(peer)}/api/x`;
		for (const dest of [
			"document",
			"iframe",
			"frame",
			"script",
			"serviceworker",
			"style",
			"image",
			"object",
			"worker",
			"websocket",
		])
			expect((await rawStatus(node.port, path, { "sec-fetch-dest": dest })).status, dest).toBe(403);
		for (const site of ["cross-site", "same-site", "none"])
			expect((await rawStatus(node.port, path, { "sec-fetch-site": site })).status, site).toBe(403);
		expect((await rawStatus(node.port, path, { "service-worker": "script" })).status).toBe(403);
		expect(
			(await rawStatus(node.port, path, { "sec-fetch-dest": "empty", "sec-fetch-site": "same-origin" })).status,
		).toBe(200);
		expect(peer.requests.filter(({ line }) => line.includes("/api/x")).length).toBe(1);
	});

	it("redirects of every kind, and follows none", async () => {
		const statuses = [300, 301, 302, 303, 305, 306, 307, 308];
		await using peer = await hostilePeer((request, response) =>
			response.writeHead(Number(request.url?.slice(-3)), { location: "https://evil.example/" }).end("<script>"),
		);
		await using node = await relayNode();
		const id = await node.add(peer);
		for (const status of statuses) {
			const answer = await node.fetch(`/r/${id}/api/${status}`);
			expect([answer.status, answer.headers.get("location")], String(status)).toEqual([502, null]);
			expect(await json(answer)).toMatchObject({ error: "upstream_error", reason: "redirect" });
		}
		expect((await node.fetch(`/r/${id}/api/304`)).status).toBe(304);
	});

	it("paths beyond /api and /ws, other relays, and unknown peers", async () => {
		await using peer = await hostilePeer((_request, response) => response.end("ok"));
		await using node = await relayNode();
		const id = await node.add(peer);
		const status = async (path: string) => (await rawStatus(node.port, path)).status;
		expect(await status(`/r/${id}/`)).toBe(404);
		expect(await status(`/r/${id}/metrics`)).toBe(404);
		expect(await status(`/r/${id}/r/other/api/x`)).toBe(404);
		expect(await status(`/r/${id}/api/../r/other/api/x`)).toBe(400);
		expect(await status(`/r/${id}/api/%2e%2e/r/other/api/x`)).toBe(400);
		expect(await status(`/r/${id}/api/..%2fr/other`)).toBe(400);
		expect(await status(`/r/nobody/api/x`)).toBe(404);
		expect(await status(`/r/127.0.0.1:${peer.port}/api/x`), "no open proxy").toBe(404);
		expect(peer.requests.every(({ line }) => line === "GET /api/identify")).toBe(true);
		const unknown = await node.fetch("/r/nobody/api/x");
		expect(unknown.headers.get("x-warren-relay")).toBe("1");
		expect(await json(unknown)).toMatchObject({ error: "unknown_peer" });
	});

	it("more hops than its limit, and a count that is none", async () => {
		await using peer = await hostilePeer((request, response) => response.end(request.headers["x-warren-hops"]));
		await using node = await relayNode();
		const path = `/r/${await node.add(peer)}/api/x`;
		const hop = (value: string) => node.fetch(path, { headers: { "x-warren-hops": value } });
		expect(await (await node.fetch(path)).text()).toBe("1");
		expect(await (await hop(String(maxHops - 1))).text()).toBe(String(maxHops));
		const looped = await hop(String(maxHops));
		expect([looped.status, looped.headers.get("x-warren-relay")]).toEqual([508, "1"]);
		expect(await json(looped)).toMatchObject({ error: "too_many_hops" });
		for (const value of ["x", "-1", "1e9", "999", "1, 1", "0x1"]) expect((await hop(value)).status, value).toBe(400);
	});

	it("an upstream credential that is more than one Authorization value", async () => {
		await using peer = await hostilePeer((_request, response) => response.end("ok"));
		await using node = await relayNode();
		const path = `/r/${await node.add(peer)}/api/x`;
		for (const value of ["Bearer", "a b c", "Bearer a, Bearer b", `Bearer ${"x".repeat(8200)}`])
			expect((await node.fetch(path, { headers: { "x-mobux-upstream-authorization": value } })).status, value).toBe(
				400,
			);
	});
});

describe("the relay's pin", () => {
	it("is checked before any byte of a request: another certificate sees no request at all", async () => {
		await using peer = await hostilePeer((_request, response) => response.end("ok"));
		await using node = await relayNode();
		const id = await node.add(peer);
		const expected = peer.fingerprint;
		const actual = await peer.reinstall();
		const before = [peer.requests.length, peer.received().length];
		for (const init of [{ headers: upstream }, { headers: upstream, method: "POST", body: "secret" }]) {
			const answer = await node.fetch(`/r/${id}/api/me`, init);
			expect([answer.status, answer.headers.get("x-warren-relay")]).toEqual([409, "1"]);
			expect(await json(answer)).toMatchObject({
				error: "pin_mismatch",
				expected,
				actual,
				peer: id,
				host: peer.host,
				port: peer.port,
				fix: expect.stringContaining("compare the fingerprints"),
			});
		}
		await peer.idle();
		expect([peer.requests.length, peer.received().length]).toEqual(before);
	});

	it("can be forgotten, or set to exactly one, and open connections under the old one serve no more", async () => {
		await using peer = await hostilePeer((_request, response) => response.end("ok"));
		await using node = await relayNode();
		const id = await node.add(peer);
		const status = async () => (await node.fetch(`/r/${id}/api/me`, { headers: upstream })).status;
		expect(await status()).toBe(200);
		const set = (fingerprint: string) =>
			node.fetch(`/api/peers/${id}/pin`, {
				method: "PUT",
				headers: { "content-type": "application/json" },
				body: JSON.stringify({ fingerprint }),
			});
		expect((await set("ab".repeat(32))).status).toBe(200);
		expect(await status(), "a connection made under the old pin").toBe(409);
		for (const bad of ["", "ab", "zz".repeat(32)]) expect((await set(bad)).status, bad).toBe(400);
		expect((await set(peer.fingerprint.toUpperCase().replaceAll(":", ""))).status).toBe(200);
		expect(await status()).toBe(200);
		await peer.reinstall();
		expect(await status()).toBe(409);
		expect((await node.fetch(`/api/peers/${id}/pin`, { method: "DELETE" })).status).toBe(204);
		expect(await status(), "the next contact pins anew").toBe(200);
		expect(node.pins.get({ host: peer.host, port: peer.port })?.fingerprint).toBe(peer.fingerprint);
	});

	it("is one for every spelling of a name", async () => {
		await using peer = await hostilePeer((_request, response) => response.end("ok"));
		await using node = await relayNode();
		const id = await node.add({ host: "LocalHost.", port: peer.port });
		expect(node.pins.get({ host: "localhost", port: peer.port })?.fingerprint).toBe(peer.fingerprint);
		const again = await node.fetch("/api/peers", {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ host: "localhost", port: peer.port }),
		});
		expect([again.status, (await json(again))["error"]]).toEqual([409, "peer_exists"]);
		await peer.reinstall();
		expect((await node.fetch(`/r/${id}/api/me`)).status).toBe(409);
	});

	it("is not learnt from something that is no warren", async () => {
		await using peer = await hostilePeer((_request, response) => response.end("hello"), { identifies: false });
		await using node = await relayNode();
		const id = await node.add(peer);
		const answer = await node.fetch(`/r/${id}/api/me`, { headers: upstream });
		expect(answer.status).toBe(502);
		expect(await json(answer)).toMatchObject({ error: "upstream_error", reason: "not_warren" });
		expect(peer.received()).not.toContain("for-the-peer");
	});
});

describe("the relay streams", () => {
	it("an event before the stream ends, and tells the peer when the client has left", async () => {
		let peerSawEnd: () => void = () => {};
		const ended = new Promise<void>((resolve) => {
			peerSawEnd = resolve;
		});
		await using peer = await hostilePeer((_request, response) => {
			response.writeHead(200, { "content-type": "text/event-stream" });
			response.flushHeaders();
			response.write("data: first\n\n");
			response.once("close", () => peerSawEnd());
		});
		await using node = await relayNode();
		const leave = new AbortController();
		const answer = await node.fetch(`/r/${await node.add(peer)}/api/events`, { signal: leave.signal });
		const reader = (answer.body as ReadableStream<Uint8Array>).getReader();
		expect(Buffer.from((await reader.read()).value as Uint8Array).toString()).toBe("data: first\n\n");
		leave.abort();
		await ended;
	});

	it("a head at once, though no byte of the body is there", async () => {
		await using peer = await hostilePeer((_request, response) => {
			response.writeHead(200, { "content-type": "text/event-stream" });
			response.flushHeaders();
		});
		await using node = await relayNode();
		const leave = new AbortController();
		const answer = await node.fetch(`/r/${await node.add(peer)}/api/events`, { signal: leave.signal });
		expect(answer.status).toBe(200);
		leave.abort();
	});

	it("a body up while it is being written", async () => {
		let heard: (text: string) => void = () => {};
		const firstPart = new Promise<string>((resolve) => {
			heard = resolve;
		});
		await using peer = await hostilePeer((request, response) => {
			request.once("data", (chunk) => heard(String(chunk)));
			let bytes = 0;
			request.on("data", (chunk: Buffer) => {
				bytes += chunk.length;
			});
			request.once("end", () => response.end(String(bytes)));
		});
		await using node = await relayNode();
		const path = `/r/${await node.add(peer)}/api/upload`;
		const request = httpRequest(`${node.origin}${path}`, { method: "POST", headers: { authorization: "Bearer me" } });
		request.write("first");
		expect(await firstPart).toBe("first");
		const answered = once(request, "response");
		request.end("second");
		const [response] = await answered;
		expect(String(await once(response, "data"))).toBe("11");
	});

	it("no clean end for an answer that broke off, whether it had a length or not", async () => {
		await using peer = await hostilePeer((request, response) => {
			if (request.url?.endsWith("length") === true) response.setHeader("content-length", "1000");
			response.write("part", () => response.destroy());
		});
		await using node = await relayNode();
		const id = await node.add(peer);
		for (const kind of ["length", "chunked"]) {
			const raw = await RawClient.exchange(
				{ port: node.port },
				`GET /r/${id}/api/${kind} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer me\r\nConnection: close\r\n\r\n`,
			);
			expect(raw, kind).toContain("200 OK");
			expect(raw, kind).not.toContain("\r\n0\r\n");
			await expect(
				node.fetch(`/r/${id}/api/${kind}`).then((answer) => answer.text()),
				kind,
			).rejects.toThrow();
		}
	});

	it("no clean end for a link that was cut, and the peer's half of an upload is aborted with its client", async () => {
		let aborted: () => void = () => {};
		const gone = new Promise<void>((resolve) => {
			aborted = resolve;
		});
		await using peer = await hostilePeer((request, response) => {
			if (request.method === "POST") {
				request.once("data", () => client.socket.destroy());
				request.once("error", () => aborted());
				return;
			}
			response.setHeader("content-length", "1000000");
			response.write("x".repeat(500_000));
		});
		await using link = await faultRelay(peer);
		await using node = await relayNode();
		const id = await node.add(link);
		link.faults.cutAfterBytes = 100_000;
		await expect(node.fetch(`/r/${id}/api/get`).then((answer) => answer.text())).rejects.toThrow();
		link.faults.cutAfterBytes = Number.POSITIVE_INFINITY;
		using client = await RawClient.open({ port: node.port });
		client.send(
			`POST /r/${id}/api/up HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer me\r\nContent-Length: 1000\r\n\r\nbegin`,
		);
		await gone;
	});
});

describe("a peer that is away", () => {
	it("is a 502 with its age and when to try again, with a body under way or not", async () => {
		const peer = await hostilePeer((_request, response) => response.end("ok"));
		await using node = await relayNode();
		const id = await node.add(peer);
		expect((await node.fetch(`/r/${id}/api/x`)).status).toBe(200);
		await peer.close();
		for (const init of [{}, { method: "POST", body: "x" }, { method: "PUT", body: "x".repeat(5_000_000) }]) {
			const answer = await node.fetch(`/r/${id}/api/x`, init);
			expect(answer.status).toBe(502);
			expect(answer.headers.get("retry-after")).toBe("2");
			expect(await json(answer)).toMatchObject({
				error: "upstream_error",
				reason: "refused",
				retryable: true,
				lastSeenAt: expect.any(Number),
				ageMs: expect.any(Number),
				retryAfterMs: 2000,
				fix: expect.any(String),
			});
		}
		expect((await node.fetch(`/api/peers/${id}/pin`, { method: "DELETE" })).status).toBe(204);
		const unpinned = await node.fetch(`/r/${id}/api/x`);
		expect(await json(unpinned)).toMatchObject({ reason: "refused", lastSeenAt: expect.any(Number) });
	});

	it("that answers rubbish is a 502 too", async () => {
		await using peer = await hostilePeer(undefined, {
			onSocket: (socket) =>
				socket.once("data", (head: Buffer) =>
					socket.end(
						String(head).includes("identify")
							? 'HTTP/1.1 200 OK\r\nContent-Length: 33\r\n\r\n{"app":"warren","version":"1.0.0"}'.replace("33", "34")
							: "SSH-2.0-rubbish\r\n",
					),
				),
		});
		await using node = await relayNode();
		const answer = await node.fetch(`/r/${await node.add(peer)}/api/x`);
		expect(answer.status).toBe(502);
	});
});

describe("a peer that does not know the name by which it is found", () => {
	it("is called by its own address instead, and asked for that once", async () => {
		const calls: string[] = [];
		await using peer = await hostilePeer(
			(request, response) => {
				calls.push(`${request.url} ${request.headers.host}`);
				if (request.headers.host !== `127.0.0.1:${peer.port}`) response.writeHead(421).end("{}");
				else response.end('{"app":"warren","version":"1"}');
			},
			{ identifies: false },
		);
		await using node = await relayNode();
		const id = await node.add({ host: "localhost", port: peer.port });
		expect((await node.fetch(`/r/${id}/api/x`)).status).toBe(200);
		expect((await node.fetch(`/r/${id}/api/x`)).status).toBe(200);
		expect(calls).toEqual([
			`/api/identify localhost:${peer.port}`,
			`/api/identify 127.0.0.1:${peer.port}`,
			`/api/x 127.0.0.1:${peer.port}`,
			`/api/x 127.0.0.1:${peer.port}`,
		]);
	});

	it("and not its address either, is no peer to reach", async () => {
		await using peer = await hostilePeer((_request, response) => response.writeHead(421).end(), { identifies: false });
		await using node = await relayNode();
		const id = await node.add({ host: "localhost", port: peer.port });
		const answer = await node.fetch(`/r/${id}/api/x`);
		expect(await json(answer)).toMatchObject({ error: "upstream_error", reason: "not_warren" });
	});
});

describe("two kinds of 401", () => {
	it("are told apart: this node's, and the peer's", async () => {
		await using peer = await hostilePeer((_request, response) =>
			response
				.writeHead(401, { "www-authenticate": "Basic", "x-warren-auth": "node", "content-type": "application/json" })
				.end('{"error":"unauthorized"}'),
		);
		await using node = await relayNode();
		const path = `/r/${await node.add(peer)}/api/x`;
		const theirs = await node.fetch(path);
		expect([theirs.status, theirs.headers.get("x-warren-relay")]).toEqual([401, "0"]);
		expect(theirs.headers.get("www-authenticate"), "it would open the browser's own dialog").toBeNull();
		const ours = await node.fetch(path, { headers: { authorization: "Bearer wrong" } });
		expect([ours.status, ours.headers.get("x-warren-relay")]).toEqual([401, null]);
		expect(ours.headers.get("x-warren-auth")).toBe("node");
	});
});

/** `fetch` sets some of these headers itself. */
async function rawStatus(port: number, path: string, headers: Record<string, string> = {}) {
	const lines = Object.entries({ Host: "localhost", Authorization: "Bearer me", Connection: "close", ...headers });
	const text = await RawClient.exchange(
		{ port },
		`GET ${path} HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join("")}\r\n`,
	);
	return { status: Number(text.slice(9, 12)), text };
}
