import { once } from "node:events";
import {
	type ClientHttp2Session,
	type ClientHttp2Stream,
	connect,
	constants,
	createServer,
	type IncomingHttpHeaders,
	type OutgoingHttpHeaders,
	type ServerHttp2Stream,
} from "node:http2";
import type { AddressInfo } from "node:net";
import { Lifetime } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { TestBackbone } from "../../backbone.testing.ts";
import { http2Limits } from "./http2-session.ts";
import { fields, flags, frame, frameTypes, RawHttp2, requestFields } from "./raw-frames.testing.ts";

let backbone: TestBackbone;
let lifetime: Lifetime;
beforeEach(async () => {
	backbone = await TestBackbone.open();
	lifetime = new Lifetime();
});
afterEach(async () => {
	await lifetime.close();
	await backbone[Symbol.asyncDispose]();
});

/** Anew, with time that stands: what is counted by the second is not paid off while the test is slow. */
async function stopTime(): Promise<void> {
	await backbone[Symbol.asyncDispose]();
	backbone = await TestBackbone.open({}, undefined, { clock: new VirtualClock() });
}

type Handler = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => void;

/** A target that speaks HTTP/2 without TLS. */
async function target(handler: Handler): Promise<number> {
	const server = createServer();
	const sessions = new Set<{ destroy(): void }>();
	server.on("session", (session) => sessions.add(session));
	server.on("stream", (stream: ServerHttp2Stream, headers: IncomingHttpHeaders) => {
		stream.on("error", () => {});
		handler(stream, headers);
	});
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	lifetime.defer(() => {
		for (const session of sessions) session.destroy();
		server.close();
	});
	return (server.address() as AddressInfo).port;
}

async function service(handler: Handler, name = "rpc") {
	return backbone.agent(name, await target(handler), { kind: "h2" });
}

function session(): ClientHttp2Session {
	const opened = connect(`http://127.0.0.1:${backbone.port}`);
	opened.on("error", () => {});
	lifetime.defer(() => opened.destroy());
	return opened;
}

function request(on: ClientHttp2Session, headers: OutgoingHttpHeaders = {}, endStream = true): ClientHttp2Stream {
	const stream = on.request({ ":path": "/", ":authority": "rpc.mos.test", ...headers }, { endStream });
	stream.on("error", () => {});
	return stream;
}

async function answer(stream: ClientHttp2Stream) {
	const [headers] = (await once(stream, "response")) as [IncomingHttpHeaders & { ":status": number }];
	let body = "";
	stream.setEncoding("utf8");
	for await (const piece of stream) body += piece;
	return { status: headers[":status"], headers, body };
}

const echoHeaders: Handler = (stream, headers) => {
	stream.respond({ ":status": 200 });
	stream.end(JSON.stringify(headers));
};
/** Answers a head and a first piece, and stays open. */
const openEnded: Handler = (stream) => {
	stream.respond({ ":status": 200 });
	stream.write("first");
};
const closeOf = async (stream: ClientHttp2Stream) => {
	if (!stream.destroyed) await new Promise((resolve) => stream.once("close", resolve));
	return stream.rstCode;
};

describe("a request over HTTP/2", () => {
	it("I5: carries its trailers, without fields of ours and fields that are no trailers", async () => {
		const received = Promise.withResolvers<IncomingHttpHeaders>();
		await service((stream) => {
			stream.on("trailers", (trailers) => received.resolve(trailers));
			stream.resume();
			stream.on("end", () => {
				stream.respond({ ":status": 200 });
				stream.end();
			});
		});
		const stream = session().request(
			{ ":method": "POST", ":path": "/", ":authority": "rpc.mos.test" },
			{ endStream: false, waitForTrailers: true },
		);
		stream.on("wantTrailers", () =>
			stream.sendTrailers({
				"x-checksum": "abc",
				"x-mosb-sub": "forged",
				x_backbone_principal: "x",
				authorization: "no",
			}),
		);
		stream.end("body");
		expect((await answer(stream)).status).toBe(200);
		expect(Object.entries(await received.promise)).toEqual([["x-checksum", "abc"]]);
	});

	it("I9: a page opened with a URL token gets a cookie and the address without it; the cookie is ambient", async () => {
		await service(echoHeaders);
		const { credential } = await backbone.principal("rpc");
		const { json } = await backbone.api("POST", "/url-tokens", {
			admin: false,
			headers: { "x-backbone-principal": credential },
			body: { service: "rpc", expires_in: 60 },
		});
		const on = session();
		const opened = await answer(request(on, { ":path": `/a?x=1&_mosb=${json.token}`, "sec-fetch-mode": "navigate" }));
		expect(opened).toMatchObject({ status: 303, headers: { location: "/a?x=1", "referrer-policy": "no-referrer" } });
		const cookie = /^[^;]+/.exec(opened.headers["set-cookie"]?.[0] ?? "")?.[0] ?? "";
		const got = await answer(request(on, { cookie: `theme=dark; ${cookie}` }));
		expect(JSON.parse(got.body)).toMatchObject({ "x-mosb-name": "Ada", cookie: "theme=dark" });
		const crossing = request(on, { ":method": "POST", cookie, origin: "http://evil.test" });
		expect((await answer(crossing)).status).toBe(403);
		const same = request(on, { ":method": "POST", cookie, origin: "http://rpc.mos.test" });
		expect((await answer(same)).status).toBe(200);
		// Without a page that opens it, the token works where it stands, and goes no further.
		const direct = await answer(request(on, { ":path": `/a?_mosb=${json.token}` }));
		expect(JSON.parse(direct.body)).toMatchObject({ ":path": "/a", "x-mosb-name": "Ada" });
		expect(direct.headers["referrer-policy"]).toBe("no-referrer");
	});

	it("I6: two credentials, or one that is malformed, are 401", async () => {
		await service(echoHeaders);
		const { credential } = await backbone.principal("rpc");
		const on = session();
		for (const value of [[credential, credential], `${credential},${credential}`, "", "mosb_pr_"])
			expect((await answer(request(on, { "x-backbone-principal": value }))).status).toBe(401);
		expect((await answer(request(on, { "x-backbone-principal": credential }))).status).toBe(200);
	});

	it("is recorded by the inspector, without secrets, and can be sent again", async () => {
		let seen: { method: unknown; body: string; principal: unknown }[] = [];
		await service((stream, headers) => {
			let body = "";
			stream.setEncoding("utf8").on("data", (text: string) => (body += text));
			stream.on("end", () => {
				seen.push({ method: headers[":method"], body, principal: headers["x-mosb-sub"] });
				stream.respond({ ":status": 201 });
				stream.end(`got ${body}`);
			});
		});
		await backbone.api("PATCH", "/admin/api/services/rpc", { body: { settings: { inspect: true } } });
		const { credential, id } = await backbone.principal("rpc");
		const stream = request(
			session(),
			{
				":method": "POST",
				":path": "/x?api_key=hush",
				"x-backbone-principal": credential,
				authorization: "Bearer hush",
			},
			false,
		);
		stream.end("hello");
		expect((await answer(stream)).status).toBe(201);
		const list = () => backbone.api("GET", "/admin/api/services/rpc/requests");
		await expect.poll(async () => (await list()).json.requests.length).toBe(1);
		const listed = await list();
		expect(listed.text).not.toContain("hush");
		const [record] = listed.json.requests;
		expect(record).toMatchObject({ method: "POST", status: 201, principal: id, request_bytes: 5, answer_bytes: 9 });
		seen = [];
		const replayed = await backbone.api("POST", `/admin/api/services/rpc/requests/${record.id}/replay`);
		expect(replayed.json).toMatchObject({ status: 201, body: "got hello" });
		expect(seen).toEqual([{ method: "POST", body: "hello", principal: undefined }]);
	});

	it("whose client breaks its body off never looks whole to the service", async () => {
		const first = Promise.withResolvers<void>();
		const over = Promise.withResolvers<{ whole: boolean; code: number | undefined }>();
		await service((stream) => {
			let whole = false;
			stream.on("data", () => first.resolve());
			stream.on("end", () => (whole = !stream.aborted));
			stream.on("close", () => over.resolve({ whole, code: stream.rstCode }));
		});
		const stream = request(session(), { ":method": "POST" }, false);
		stream.write("half");
		await first.promise;
		stream.close(constants.NGHTTP2_CANCEL);
		expect(await over.promise).toEqual({ whole: false, code: constants.NGHTTP2_CANCEL });
	});
});

describe("limits over HTTP/2", () => {
	it("bodies, rates and addresses answer 413, 429 and 403; a body that grows over it is cut", async () => {
		await stopTime();
		await service((stream) => {
			stream.resume();
			stream.on("end", () => {
				if (stream.destroyed || stream.closed) return;
				stream.respond({ ":status": 200 });
				stream.end();
			});
		});
		const set = (settings: object) => backbone.api("PATCH", "/admin/api/services/rpc", { body: { settings } });
		await set({ max_body_bytes: 10 });
		const on = session();
		const declared = request(on, { ":method": "POST", "content-length": "11" }, false);
		expect((await answer(declared)).status).toBe(413);
		const growing = request(on, { ":method": "POST" }, false);
		growing.write("x".repeat(11));
		expect((await answer(growing)).status).toBe(413);
		const fits = request(on, { ":method": "POST" }, false);
		fits.end("x".repeat(10));
		expect((await answer(fits)).status).toBe(200);
		await set({ max_body_bytes: 1000, requests_per_second: 1 });
		const statuses: number[] = [];
		for (let each = 0; each < 4; each++) statuses.push((await answer(request(on))).status);
		expect(statuses).toContain(429);
		await set({ deny: ["127.0.0.0/8"] });
		expect((await answer(request(on))).status).toBe(403);
	});

	it("a path that is none, and one that is too long, are refused before anything is asked", async () => {
		await service(echoHeaders);
		using raw = await RawHttp2.open(backbone.port);
		const paths = ["no-slash", "/a b", "/\x7f", "/#x", `/${"x".repeat(17_000)}`];
		paths.forEach((path, index) => {
			const list = [
				[":method", "GET"],
				[":scheme", "http"],
				[":path", path],
				[":authority", "rpc.mos.test"],
			] as const;
			raw.send(frame(frameTypes.headers, flags.endHeaders | flags.endStream, index * 2 + 1, fields(list)));
		});
		for (let index = 0; index < paths.length; index++) {
			const id = index * 2 + 1;
			const first = await raw.until(({ stream, type }) => stream === id || type === frameTypes.goAway);
			// :status 200 is entry 8 of the static table.
			expect(first?.payload[0], paths[index]?.slice(0, 20)).not.toBe(0x88);
			if (first?.type === frameTypes.goAway) break;
		}
	});

	it.each([
		[
			"two Authorizations",
			[
				["authorization", "Bearer a"],
				["authorization", "Bearer b"],
			],
		],
		[
			"two Origins",
			[
				["origin", "http://a.test"],
				["origin", "http://b.test"],
			],
		],
		["a Host that is not :authority", [["host", "other.mos.test"]]],
		["a body of a length beside an end at once", [["content-length", "5"]]],
	] as const)("P2: refuses, as HTTP/1.1 has it: %s", async (_what, more) => {
		const asked = vi.fn(echoHeaders);
		await service(asked);
		using raw = await RawHttp2.open(backbone.port);
		const send = (id: number, list: readonly (readonly [string, string])[]) =>
			raw.send(frame(frameTypes.headers, flags.endHeaders | flags.endStream, id, requestFields("rpc.mos.test", list)));
		send(1, more);
		const first = await raw.until(({ stream, type }) => stream === 1 && type !== frameTypes.windowUpdate);
		// A frame that resets the stream, or :status 400, entry 12 of the static table.
		expect([first?.type, first?.payload[0]]).toEqual(
			first?.type === frameTypes.reset ? [frameTypes.reset, expect.anything()] : [frameTypes.headers, 0x8c],
		);
		expect(asked).not.toHaveBeenCalled();
	});

	/** Each floods one connection; the server ends it, and serves the others meanwhile. */
	const floods: [string, (raw: RawHttp2) => void][] = [
		[
			"rapid resets",
			(raw) => {
				for (let id = 1; id < 4 * http2Limits.maxResets; id += 2)
					raw.send(
						frame(frameTypes.headers, flags.endHeaders | flags.endStream, id, requestFields("rpc.mos.test")),
						frame(frameTypes.reset, 0, id, Buffer.from([0, 0, 0, 8])),
					);
			},
		],
		[
			"SETTINGS",
			(raw) => {
				for (let each = 0; each < 3 * http2Limits.maxSettings; each++) raw.send(frame(frameTypes.settings, 0, 0));
			},
		],
		[
			"PINGs",
			(raw) => {
				for (let each = 0; each < 3 * http2Limits.maxPings; each++)
					raw.send(frame(frameTypes.ping, 0, 0, Buffer.alloc(8)));
			},
		],
		[
			"CONTINUATIONs",
			(raw) => {
				raw.send(frame(frameTypes.headers, flags.endStream, 1, requestFields("rpc.mos.test")));
				for (let each = 0; each < 1000; each++)
					raw.send(frame(frameTypes.continuation, 0, 1, fields([[`x-${each}`, "y".repeat(100)]])));
			},
		],
		[
			"empty DATA",
			(raw) => {
				const list = [
					[":method", "POST"],
					[":scheme", "http"],
					[":path", "/"],
					[":authority", "rpc.mos.test"],
				] as const;
				raw.send(frame(frameTypes.headers, flags.endHeaders, 1, fields(list)));
				for (let each = 0; each < 5 * http2Limits.maxInvalidFrames; each++) raw.send(frame(frameTypes.data, 0, 1));
			},
		],
		[
			"SETTINGS with more entries than there are",
			(raw) => raw.send(frame(frameTypes.settings, 0, 0, Buffer.alloc(6 * (http2Limits.maxSettingsEntries + 1), 0xf0))),
		],
	];
	it.each(floods)("%s end the connection, and nobody else's", async (_name, flood) => {
		await service(echoHeaders);
		const other = session();
		expect((await answer(request(other))).status).toBe(200);
		using raw = await RawHttp2.open(backbone.port);
		flood(raw);
		await raw.closed;
		expect((await answer(request(other))).status).toBe(200);
	});

	it("a header list above the limit, in bytes or in fields, never reaches a service", async () => {
		let reached = 0;
		await service((stream) => {
			reached += 1;
			stream.respond({ ":status": 200 });
			stream.end();
		});
		const big = { "x-big": "x".repeat(http2Limits.headerListBytes) };
		const many = Object.fromEntries(Array.from({ length: 120 }, (_, index) => [`x-${index}`, "y"]));
		for (const headers of [big, many]) {
			const stream = request(session(), headers);
			const status = Promise.withResolvers<number>();
			stream.on("response", (got) => status.resolve(Number(got[":status"])));
			stream.on("close", () => status.resolve(stream.rstCode));
			expect(await status.promise).not.toBe(200);
		}
		expect(reached).toBe(0);
	});

	it("a client has so many streams at once, and not one more", async () => {
		let running = 0;
		await service((stream) => {
			running += 1;
			stream.respond({ ":status": 200 });
		});
		using raw = await RawHttp2.open(backbone.port);
		for (let each = 0; each <= http2Limits.maxClientStreams; each++)
			raw.send(
				frame(frameTypes.headers, flags.endHeaders | flags.endStream, each * 2 + 1, requestFields("rpc.mos.test")),
			);
		const last = http2Limits.maxClientStreams * 2 + 1;
		const refused = await raw.until(({ stream, type }) => type === frameTypes.reset && stream === last);
		expect(refused?.payload.readUInt32BE(0)).toBe(constants.NGHTTP2_REFUSED_STREAM);
		await expect.poll(() => running).toBe(http2Limits.maxClientStreams);
	});

	it("an unused connection ends; one with a stream does not", async () => {
		await using short = await TestBackbone.open({ limits: { keepAliveMs: 50 } });
		const idle = connect(`http://127.0.0.1:${short.port}`);
		await once(idle, "close");
		expect(idle.destroyed).toBe(true);
	});
});

describe("an answer over HTTP/2", () => {
	it("that was cut by its agent is not ended cleanly", async () => {
		const agent = await service(openEnded);
		const stream = request(session());
		await once(stream, "data");
		await agent.close(0);
		expect(await closeOf(stream)).not.toBe(constants.NGHTTP2_NO_ERROR);
	});

	it("that is lost before it began is asked of another agent, when that does no harm; else it is 502", async () => {
		let asked = 0;
		const failing: Handler = (stream) => {
			asked += 1;
			stream.session?.destroy();
		};
		await service(failing);
		const on = session();
		expect((await answer(request(on, { ":method": "POST" }))).status).toBe(502);
		expect(asked).toBe(1);
		await backbone.agent("rpc", await target(echoHeaders), { kind: "h2" });
		for (let each = 0; each < 6; each++) expect((await answer(request(on))).status).toBe(200);
		expect(asked).toBeGreaterThan(1);
	});

	it("by a target that speaks no HTTP/2, or refuses, is 502; without an agent 503", async () => {
		const { port } = await backbone.tcp((socket) => socket.end("HTTP/1.1 400 Bad Request\r\n\r\n"));
		await backbone.agent("rpc", port, { kind: "h2" });
		expect((await answer(request(session()))).status).toBe(502);
		await backbone.token("none", "h2");
		const nobody = await answer(request(session(), { ":authority": "none.mos.test" }));
		expect(nobody).toMatchObject({ status: 503, headers: { "retry-after": "2" } });
	});

	it("of several agents comes from each of them", async () => {
		const names = ["one", "two", "three"];
		for (const name of names)
			await service((stream) => {
				stream.respond({ ":status": 200 });
				stream.end(name);
			});
		const got = new Set<string>();
		const on = session();
		for (let each = 0; each < 12; each++) got.add((await answer(request(on))).body);
		expect([...got].sort()).toEqual([...names].sort());
	});

	it("that nobody reads holds its own service back, and no other stream", async () => {
		let written = 0;
		await service((stream, headers) => {
			stream.respond({ ":status": 200 });
			if (headers[":path"] === "/quick") return void stream.end("quick");
			const more = () => {
				do written += 65_536;
				while (stream.write(Buffer.alloc(65_536)) && written < 1e9);
			};
			stream.on("drain", more);
			more();
		});
		const stalled = request(session(), { ":path": "/large" });
		await once(stalled, "response");
		const other = session();
		for (let each = 0; each < 20; each++)
			expect((await answer(request(other, { ":path": "/quick" }))).body).toBe("quick");
		expect(written).toBeLessThan(100e6);
		stalled.close();
	});
});

describe("I7: what was taken away ends what runs", () => {
	const within = async (stream: ClientHttp2Stream, act: () => Promise<unknown>) => {
		await once(stream, "data");
		await act();
		expect(await closeOf(stream)).not.toBe(constants.NGHTTP2_NO_ERROR);
	};

	it("a rotated credential, a revoked principal, a removed grant", async () => {
		await service(openEnded);
		const on = session();
		const bystander = await backbone.principal("rpc");
		const kept = request(on, { "x-backbone-principal": bystander.credential });
		await once(kept, "data");
		const ways: ((id: string, credential: string) => Promise<unknown>)[] = [
			(_id, credential) =>
				backbone.api("POST", "/principals/rotate", { admin: false, headers: { "x-backbone-principal": credential } }),
			(id) => backbone.api("DELETE", `/admin/api/principals/${id}`),
			(id) => backbone.api("DELETE", `/admin/api/grants/${id}/rpc`),
		];
		for (const way of ways) {
			const { id, credential } = await backbone.principal("rpc");
			await within(request(on, { "x-backbone-principal": credential }), () => way(id, credential));
			expect((await answer(request(on, { "x-backbone-principal": credential }))).status).toBeGreaterThanOrEqual(401);
		}
		expect(kept.closed).toBe(false);
	});

	it("a service token, a service, an address, anonymous access", async () => {
		const token = await backbone.token("rpc", "h2");
		const port = await target(openEnded);
		const on = session();
		const set = (settings: object) => backbone.api("PATCH", "/admin/api/services/rpc", { body: { settings } });
		await backbone.agent("rpc", port, { token });
		await within(request(on), () => set({ require_identity: true }));
		await set({ require_identity: false });
		await within(request(on), () => set({ deny: ["127.0.0.0/8"] }));
		await set({ deny: [] });
		await within(request(on), async () => {
			const { json } = await backbone.api("GET", "/admin/api/tokens");
			await backbone.api("DELETE", `/admin/api/tokens/${json.tokens[0].id}`);
		});
		await backbone.agent("rpc", port, { kind: "h2" });
		await within(request(on), () => backbone.api("DELETE", "/admin/api/services/rpc"));
	});
});
