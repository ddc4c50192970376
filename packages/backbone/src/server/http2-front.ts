import {
	type ClientHttp2Session,
	type ClientHttp2Stream,
	connect,
	constants,
	type IncomingHttpHeaders,
	performServerHandshake,
	type ServerHttp2Session,
	type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import type { Logger } from "@warren/kernel";
import { messageOf } from "@warren/kernel";
import type { Caller } from "../identity/callers.ts";
import { agentHeader, agentNameHeader, tunnelPath } from "../protocol/endpoint.ts";
import { isReservedName } from "../protocol/reserved-names.ts";
import { LinkDuplex } from "../tunnel/link-duplex.ts";
import type { Agent, AgentPool } from "./agents.ts";
import { takeUrlToken } from "./credentials.ts";
import type { Front } from "./front.ts";
import { takeLink } from "./stream-ports.ts";
import type { TunnelEndpoint } from "./tunnel-endpoint.ts";

export const http2Limits = {
	maxStreams: 4096,
	/** Streams that a client may reset in a row before its connection is cut (CVE-2023-44487). */
	maxResets: 200,
	resetWindowMs: 10_000,
	windowBytes: 1024 * 1024,
	sessionWindowBytes: 16 * 1024 * 1024,
	/** Streams on one connection to a target. */
	maxUpstreamStreams: 100,
	headerListBytes: 32 * 1024,
} as const;

interface Upstream {
	readonly session: ClientHttp2Session;
	readonly agent: Agent;
	streams: number;
}

/** HTTP/2 on the public side: agents that dial out over it, and services of kind `h2` (gRPC), trailers included. */
export class Http2Front {
	readonly #front: () => Front;
	readonly #endpoint: TunnelEndpoint;
	readonly #pool: AgentPool;
	readonly #logger: Logger;
	readonly #sessions = new Set<ServerHttp2Session>();
	readonly #upstreams = new Map<string, Upstream[]>();

	constructor(deps: { front: () => Front; endpoint: TunnelEndpoint; pool: AgentPool; logger: Logger }) {
		this.#front = deps.front;
		this.#endpoint = deps.endpoint;
		this.#pool = deps.pool;
		this.#logger = deps.logger;
	}

	/** @param bytes what was read of the connection already: the preface and what came with it. */
	accept(socket: Socket, bytes: Buffer | null): void {
		if (bytes !== null) socket.unshift(bytes);
		const session = performServerHandshake(socket, {
			settings: {
				initialWindowSize: http2Limits.windowBytes,
				maxConcurrentStreams: http2Limits.maxStreams,
				maxHeaderListSize: http2Limits.headerListBytes,
			},
			maxSessionInvalidFrames: 100,
			maxSessionMemory: 64,
		} as Parameters<typeof performServerHandshake>[1]);
		this.#sessions.add(session);
		session.setLocalWindowSize?.(http2Limits.sessionWindowBytes);
		session.on("error", () => session.destroy());
		session.on("close", () => this.#sessions.delete(session));
		let resets = 0;
		let windowAt = this.#front().now;
		session.on("stream", (stream, headers) => {
			stream.on("error", () => {});
			stream.on("aborted", () => {
				const { now } = this.#front();
				if (now - windowAt > http2Limits.resetWindowMs) {
					windowAt = now;
					resets = 0;
				}
				if (++resets > http2Limits.maxResets) session.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
			});
			void this.#stream(socket, stream, headers).catch((fault: unknown) => {
				this.#logger.warn("an HTTP/2 request failed", { fault: messageOf(fault) });
				if (!stream.destroyed) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
			});
		});
	}

	close(): void {
		for (const session of this.#sessions) session.destroy();
		for (const list of this.#upstreams.values()) for (const { session } of list) session.destroy();
	}

	/** Says that it will stop; streams finish. */
	drain(): void {
		for (const session of this.#sessions) if (!session.destroyed) session.goaway(constants.NGHTTP2_NO_ERROR);
	}

	async #stream(socket: Socket, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
		const front = this.#front();
		const authority = headers[":authority"] ?? headers.host ?? "";
		if (headers.host !== undefined && headers[":authority"] !== undefined && headers.host !== headers[":authority"])
			return refuse(stream, 400, "bad_request", "Host is not :authority.");
		const route = front.route(authority, socket, null);
		if (route === null)
			return refuse(stream, 421, "wrong_host", `"${authority.slice(0, 200)}" is not a name of this server.`);
		if (route.kind === "unknown")
			return refuse(stream, 404, "unknown_service", `There is no service "${route.name.slice(0, 63)}" here.`);
		if (route.kind === "own") {
			if (headers[":method"] === "POST" && headers[":path"] === tunnelPath)
				return this.#tunnel(socket, stream, headers);
			// The API and every other service speak HTTP/1.1.
			return stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED);
		}
		const { service } = route;
		if (service.kind !== "h2") return stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED);
		const address = front.clientAddress(socket, String(headers["x-forwarded-for"] ?? ""));
		if (!service.admits(address))
			return refuse(stream, 403, "address_refused", `${address} may not reach "${service.name}".`);
		const token = takeUrlToken(headers[":path"] ?? "/");
		if (token.fault !== null) return refuse(stream, 401, "unauthorized", token.fault);
		const credential = one(headers["x-backbone-principal"]);
		const assertion = one(headers["x-backbone-assertion"]);
		const caller = await front.callers.judge(
			{ credential, assertion, urlToken: token.token, cookieToken: null },
			{
				service: service.name,
				method: headers[":method"] ?? "",
				path: token.target.split("?")[0] as string,
				now: front.wallNow,
			},
			address,
		);
		if (!caller.ok) return refuse(stream, caller.status, caller.code, caller.message, caller.retryAfterMs);
		if (service.settings.requireIdentity === true && caller.principal === null)
			return refuse(stream, 401, "identity_required", `"${service.name}" takes nobody without a credential.`);
		const waitMs = Math.max(caller.requests?.take("") ?? 0, service.requests?.take("") ?? 0);
		if (waitMs > 0) return refuse(stream, 429, "too_many", "Too many requests.", waitMs);
		const upstream = await this.#upstream(service.name);
		if (upstream === null)
			return refuse(stream, 503, "no_agent", `No agent of "${service.name}" can take this now.`, 2000);
		if (stream.destroyed) {
			upstream.streams -= 1;
			return;
		}
		this.#pass(stream, upstream, forwarded(headers, token.target, caller, address, front.isSecure(socket)), (status) =>
			front.finished(service, status, caller),
		);
	}

	#pass(
		stream: ServerHttp2Stream,
		upstream: Upstream,
		headers: IncomingHttpHeaders,
		finished: (status: number) => void,
	): void {
		const to: ClientHttp2Stream = upstream.session.request(headers, { endStream: stream.endAfterHeaders });
		let status = 0;
		let counted = false;
		const over = () => {
			if (counted) return;
			counted = true;
			upstream.streams -= 1;
			finished(status);
		};
		to.on("error", () => {});
		to.on("headers", (interim) => {
			if (!stream.destroyed && !stream.headersSent) stream.additionalHeaders({ ":status": interim[":status"] ?? 100 });
		});
		to.on("response", (answer, flags) => {
			if (stream.destroyed || stream.headersSent) return;
			status = Number(answer[":status"]);
			const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
			stream.respond(clean(answer), { endStream, waitForTrailers: !endStream });
			// Not before: a first write would send a head of its own.
			if (!endStream) to.pipe(stream);
		});
		let trailers: IncomingHttpHeaders | null = null;
		to.on("trailers", (received) => {
			trailers = clean(received);
		});
		stream.on("wantTrailers", () => {
			if (trailers !== null) stream.sendTrailers(trailers);
			else stream.close();
		});
		if (!stream.endAfterHeaders) stream.pipe(to);
		to.on("close", () => {
			over();
			// Cut, not ended: the client must not take it for whole.
			if (to.rstCode !== constants.NGHTTP2_NO_ERROR && !stream.destroyed)
				stream.close(status === 0 ? constants.NGHTTP2_REFUSED_STREAM : to.rstCode);
		});
		stream.on("close", () => {
			over();
			if (!to.destroyed) to.close(stream.rstCode === 0 ? constants.NGHTTP2_NO_ERROR : constants.NGHTTP2_CANCEL);
		});
	}

	/** A connection to a target with room for one more stream. */
	async #upstream(service: string): Promise<Upstream | null> {
		const list = this.#upstreams.get(service) ?? [];
		this.#upstreams.set(service, list);
		const room = list
			.filter((each) => each.streams < http2Limits.maxUpstreamStreams && !each.agent.draining && !each.session.closed)
			.sort((a, b) => a.streams - b.streams)[0];
		const agents = this.#pool.of(service).agents.length;
		// One connection an agent first, so that all of them work.
		if (room !== undefined && (list.length >= agents || room.streams === 0)) {
			room.streams += 1;
			return room;
		}
		return new Promise((resolve) => {
			takeLink(this.#pool, service, (lease) => {
				if (lease === null) {
					if (room !== undefined) room.streams += 1;
					return resolve(room ?? null);
				}
				const duplex = new LinkDuplex(lease.link);
				lease.link.open({ kind: "h2" }, duplex);
				const session = connect("http://target.invalid", {
					createConnection: () => duplex,
					settings: { initialWindowSize: http2Limits.windowBytes, enablePush: false },
				});
				session.once("connect", () => session.setLocalWindowSize(http2Limits.sessionWindowBytes));
				const upstream: Upstream = { session, agent: lease.agent, streams: 1 };
				list.push(upstream);
				const gone = () => {
					const at = list.indexOf(upstream);
					if (at !== -1) list.splice(at, 1);
				};
				session.on("error", gone);
				session.on("goaway", gone);
				session.on("close", gone);
				resolve(upstream);
			});
		});
	}

	async #tunnel(socket: Socket, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
		const facts = {
			authorization: one(headers.authorization),
			agent: one(headers[agentHeader]),
			name: one(headers[agentNameHeader]),
			address: this.#front().addressOf(socket),
			transport: "http2",
		} as const;
		const admission = await this.#endpoint.admit(facts);
		if (stream.destroyed) return;
		if (!admission.ok)
			return refuse(stream, admission.status, admission.code, admission.message, admission.retryAfterMs);
		stream.respond({ ":status": 200, "content-type": "application/octet-stream" });
		await this.#endpoint.park(stream, admission, facts);
	}
}

const hop: ReadonlySet<string> = new Set([
	"connection",
	"keep-alive",
	"proxy-connection",
	"transfer-encoding",
	"upgrade",
	"host",
	"forwarded",
	"x-forwarded-for",
	"x-forwarded-host",
	"x-forwarded-proto",
	"x-real-ip",
	"http2-settings",
	"proxy-authorization",
]);

/** The request as the target gets it: identity comes last, and once. */
function forwarded(
	headers: IncomingHttpHeaders,
	target: string,
	caller: Caller,
	address: string,
	secure: boolean,
): IncomingHttpHeaders {
	const out: IncomingHttpHeaders = {
		":method": headers[":method"],
		":scheme": secure ? "https" : "http",
		":authority": headers[":authority"] ?? headers.host,
		":path": target,
	} as IncomingHttpHeaders;
	for (const [name, value] of Object.entries(headers))
		if (!name.startsWith(":") && !hop.has(name) && !isReservedName(name) && (name !== "te" || value === "trailers"))
			out[name] = value;
	out["x-forwarded-for"] = address;
	out["x-forwarded-proto"] = secure ? "https" : "http";
	for (const line of caller.lines.split("\r\n")) {
		const colon = line.indexOf(":");
		if (colon > 0) out[line.slice(0, colon)] = line.slice(colon + 2);
	}
	return out;
}

function clean(headers: IncomingHttpHeaders): IncomingHttpHeaders {
	const out: IncomingHttpHeaders = {};
	for (const [name, value] of Object.entries(headers)) if (!hop.has(name) && !isReservedName(name)) out[name] = value;
	return out;
}

/** A list is more than one credential: malformed, which the empty string is too. */
function one(value: string | string[] | undefined): string | null {
	if (value === undefined) return null;
	return typeof value === "string" && !value.includes(",") ? value : "";
}

function refuse(stream: ServerHttp2Stream, status: number, code: string, message: string, retryAfterMs = 0): void {
	if (stream.destroyed) return;
	stream.respond({
		":status": status,
		"content-type": "application/json",
		"cache-control": "no-store",
		...(retryAfterMs > 0 ? { "retry-after": String(Math.ceil(retryAfterMs / 1000)) } : {}),
	});
	stream.end(JSON.stringify({ error: code, message }));
}
