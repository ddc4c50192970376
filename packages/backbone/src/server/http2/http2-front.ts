import {
	constants,
	type IncomingHttpHeaders,
	performServerHandshake,
	type ServerHttp2Session,
	type ServerHttp2Stream,
} from "node:http2";
import type { Socket } from "node:net";
import { type Closeable, delay, type Logger, messageOf, type Timer } from "@warren/kernel";
import type { Caller } from "../../identity/callers.ts";
import { BandwidthWindow } from "../../protocol/bandwidth-window.ts";
import { agentHeader, agentNameHeader, tunnelPath } from "../../protocol/endpoint.ts";
import { headLimits, isMethod, isTarget, parseRequestHead } from "../../protocol/request-head.ts";
import type { AgentPool } from "../agents/agent-pool.ts";
import { cookieToken, isSameOrigin, swapFields, takeUrlToken } from "../credentials.ts";
import type { Front, Running } from "../front.ts";
import { admit } from "../http1/admission.ts";
import { arrivalOf } from "../http1/arrival.ts";
import type { Inspector } from "../inspector.ts";
import type { ActiveService } from "../services.ts";
import type { TunnelEndpoint } from "../tunnel-endpoint.ts";
import { CrossingStream } from "./crossing-stream.ts";
import { headText } from "./head-lines.ts";
import { forwardedHeaders, linesOf, single } from "./headers.ts";
import { type ArrivedTrailers, Http2Exchange } from "./http2-exchange.ts";
import { answerStream, refuseStream } from "./refuse-stream.ts";
import { spanFacts } from "./stream-facts.ts";
import { upstreamLimits } from "./upstreams.ts";

export const http2Limits = {
	/** Streams at once of a client, and of an agent once it was let in. */
	maxClientStreams: 128,
	maxAgentStreams: 4096,
	/** Per window: streams that a client resets (CVE-2023-44487), its SETTINGS, its PINGs. */
	maxResets: 200,
	maxSettings: 100,
	maxPings: 500,
	windowMs: 10_000,
	/** Frames that mean nothing, empty DATA among them, of one connection. */
	maxInvalidFrames: 100,
	maxSettingsEntries: 32,
	headerListBytes: headLimits.maxHeadBytes,
	/** Of headers and state of one connection. */
	maxSessionMegabytes: 64,
	streamWindowBytes: upstreamLimits.windowBytes,
	/** Of an agent's streams: up to here it follows what the line carries in a round trip. */
	maxAgentStreamWindowBytes: 16 * 1024 * 1024,
	/** Above many of those: one link that nobody reads must leave room for the others. */
	agentWindowBytes: 32 * 1024 * 1024,
	/** Until then a connection has the 64 KiB of the standard: bodies of nobody are not held. */
	admittedWindowBytes: upstreamLimits.sessionWindowBytes,
} as const;

export interface Http2FrontDeps {
	readonly front: () => Front;
	readonly endpoint: TunnelEndpoint;
	readonly pool: AgentPool;
	readonly inspector: Inspector;
	readonly logger: Logger;
}

/** One HTTP/2 connection. */
interface Session {
	readonly http2: ServerHttp2Session;
	readonly socket: Socket;
	readonly pinned: string | null;
	/** Something of it was let in: it may send more at once. */
	admitted: boolean;
	/** Null = a client's. */
	agentWindow: BandwidthWindow | null;
	streams: number;
	resets: number;
	settings: number;
	pings: number;
	windowAt: number;
}

/** HTTP/2 on the public side: agents that dial out over it, and clients of services of either version, trailers included. */
export class Http2Front implements Closeable {
	readonly #deps: Http2FrontDeps;
	readonly #sessions = new Set<Session>();
	readonly #running = new Set<Http2Exchange | CrossingStream>();
	#sweep: Timer | null = null;

	constructor(deps: Http2FrontDeps) {
		this.#deps = deps;
	}

	/**
	 * @param bytes what was read of the connection already: the preface and what came with it.
	 * @param pinned the service that the port belongs to; null = sorted by :authority.
	 */
	accept(socket: Socket, bytes: Buffer | null, pinned: string | null): void {
		if (bytes !== null) socket.unshift(bytes);
		const front = this.#deps.front();
		const http2 = performServerHandshake(socket, {
			settings: {
				initialWindowSize: http2Limits.streamWindowBytes,
				maxConcurrentStreams: http2Limits.maxClientStreams,
				maxHeaderListSize: http2Limits.headerListBytes,
			},
			// Pseudo-header fields count too.
			maxHeaderListPairs: headLimits.maxHeaders + 4,
			maxSessionInvalidFrames: http2Limits.maxInvalidFrames,
			maxSessionMemory: http2Limits.maxSessionMegabytes,
			maxSettings: http2Limits.maxSettingsEntries,
			streamResetBurst: http2Limits.maxResets,
			streamResetRate: http2Limits.maxResets / (http2Limits.windowMs / 1000),
		} as Parameters<typeof performServerHandshake>[1]);
		const counts = { streams: 0, resets: 0, settings: 0, pings: 0, windowAt: front.now };
		const session: Session = { http2, socket, pinned, admitted: false, agentWindow: null, ...counts };
		this.#sessions.add(session);
		http2.on("error", () => http2.destroy());
		http2.on("close", () => this.#sessions.delete(session));
		http2.on("remoteSettings", () => this.#count(session, "settings", http2Limits.maxSettings));
		http2.on("ping", () => this.#count(session, "pings", http2Limits.maxPings));
		http2.setTimeout(front.limits.keepAliveMs, () => {
			if (session.streams === 0) http2.close();
		});
		http2.on("stream", (stream, headers, _flags, rawHeaders: readonly string[]) => {
			const arrived: ArrivedTrailers = { trailers: {} };
			stream.on("trailers", (trailers: IncomingHttpHeaders) => {
				arrived.trailers = trailers;
			});
			session.streams += 1;
			stream.on("error", () => {});
			stream.on("close", () => {
				session.streams -= 1;
				if (stream.rstCode !== constants.NGHTTP2_NO_ERROR && session.agentWindow === null)
					this.#count(session, "resets", http2Limits.maxResets);
			});
			// A client's first frames are older than its knowledge of our limit.
			if (listBytes(rawHeaders) > http2Limits.headerListBytes)
				return refuseStream(stream, 431, "head_too_large", "The header list is too large.");
			this.#stream(session, stream, headers, rawHeaders, arrived).catch((fault: unknown) => {
				this.#deps.logger.warn("an HTTP/2 request failed", { fault: messageOf(fault) });
				if (!stream.destroyed) stream.close(constants.NGHTTP2_INTERNAL_ERROR);
			});
		});
		if (this.#sweep === null) this.#armSweep();
	}

	/** What runs now. */
	*running(): Iterable<Running> {
		for (const exchange of this.#running) yield runningOf(exchange);
	}

	/** Cuts what runs on behalf of somebody, or towards a service. */
	disconnect(matches: (running: Running) => boolean): void {
		for (const exchange of [...this.#running]) if (matches(runningOf(exchange))) exchange.cut();
	}

	/** Says that it will stop; streams finish. */
	drain(): void {
		for (const { http2 } of this.#sessions) if (!http2.destroyed) http2.goaway(constants.NGHTTP2_NO_ERROR);
	}

	/** Lets streams finish for as long as the front drains, then cuts what is left. */
	async close(): Promise<void> {
		const { clock, limits } = this.#deps.front();
		const deadline = clock.monotonic() + limits.drainMs;
		while (this.#running.size > 0 && clock.monotonic() < deadline) await delay(clock, 20);
		this.#sweep?.cancel();
		for (const { http2 } of this.#sessions) http2.destroy();
	}

	/** So many in a window, and the connection is over. */
	#count(session: Session, what: "resets" | "settings" | "pings", max: number): void {
		const { now } = this.#deps.front();
		if (now - session.windowAt > http2Limits.windowMs) {
			session.windowAt = now;
			session.resets = 0;
			session.settings = 0;
			session.pings = 0;
		}
		session[what] += 1;
		if (session[what] > max && !session.http2.destroyed)
			session.http2.destroy(undefined, constants.NGHTTP2_ENHANCE_YOUR_CALM);
	}

	#admit(session: Session, isAgent: boolean): void {
		if (session.http2.destroyed) return;
		if (isAgent && session.agentWindow === null) {
			const { streamWindowBytes, maxAgentStreamWindowBytes, maxAgentStreams } = http2Limits;
			session.agentWindow = new BandwidthWindow(streamWindowBytes, maxAgentStreamWindowBytes);
			session.http2.settings({ maxConcurrentStreams: maxAgentStreams });
			session.admitted = true;
			session.http2.setLocalWindowSize(http2Limits.agentWindowBytes);
		}
		if (session.admitted) return;
		session.admitted = true;
		session.http2.setLocalWindowSize(http2Limits.admittedWindowBytes);
	}

	#armSweep(): void {
		const { clock, limits } = this.#deps.front();
		this.#sweep = clock.after(limits.sweepMs, () => {
			const { now } = this.#deps.front();
			for (const exchange of [...this.#running]) if (exchange.deadline < now) exchange.expire();
			if (this.#sessions.size === 0) this.#sweep = null;
			else this.#armSweep();
		});
	}

	async #stream(
		session: Session,
		stream: ServerHttp2Stream,
		headers: IncomingHttpHeaders,
		rawHeaders: readonly string[],
		arrived: ArrivedTrailers,
	): Promise<void> {
		const { socket, pinned } = session;
		const front = this.#deps.front();
		const authority = headers[":authority"] ?? headers.host ?? "";
		const path = headers[":path"] ?? "";
		if (headers.host !== undefined && headers[":authority"] !== undefined && headers.host !== headers[":authority"])
			return refuseStream(stream, 400, "bad_request", "Host is not :authority.");
		if (!isMethod(headers[":method"] ?? "") || !isTarget(path))
			return refuseStream(stream, 400, "bad_request", "The method or the path is not one of HTTP.");
		if (path.length > headLimits.maxTargetBytes)
			return refuseStream(
				stream,
				414,
				"target_too_long",
				`The target is longer than ${headLimits.maxTargetBytes} bytes.`,
			);
		const route = front.route(authority, socket, pinned);
		if (route === null)
			return refuseStream(stream, 421, "wrong_host", `"${authority.slice(0, 200)}" is not a name of this server.`);
		if (route.kind === "unknown")
			return refuseStream(stream, 404, "unknown_service", `There is no service "${route.name.slice(0, 63)}" here.`);
		if (route.kind === "own") {
			if (headers[":method"] === "POST" && path === tunnelPath) return this.#tunnel(session, stream, headers);
			// The API speaks HTTP/1.1.
			return stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED);
		}
		const { service } = route;
		if (service.kind !== "h2") return this.#cross(session, stream, rawHeaders, arrived);
		const address = front.clientAddress(socket, String(headers["x-forwarded-for"] ?? ""));
		if (!service.admits(address))
			return refuseStream(stream, 403, "address_refused", `${address} may not reach "${service.name}".`);
		const token = takeUrlToken(path);
		if (token.fault !== null) return refuseStream(stream, 401, "unauthorized", token.fault);
		const caller = await front.callers.judge(
			{
				credential: single(headers["x-backbone-principal"]),
				assertion: single(headers["x-backbone-assertion"]),
				urlToken: token.token,
				cookieToken: headers.cookie === undefined ? null : cookieToken(headers.cookie),
			},
			{
				service: service.name,
				method: headers[":method"] ?? "",
				path: token.target.split("?")[0] as string,
				now: front.wallNow,
			},
			address,
		);
		if (stream.destroyed) return;
		if (!caller.ok) return refuseStream(stream, caller.status, caller.code, caller.message, caller.retryAfterMs);
		this.#judged(session, stream, headers, { service, caller, address, token, authority, arrived });
	}

	#judged(
		session: Session,
		stream: ServerHttp2Stream,
		headers: IncomingHttpHeaders,
		facts: {
			readonly service: ActiveService;
			readonly caller: Caller;
			readonly address: string;
			readonly token: { readonly target: string; readonly token: string | null };
			readonly authority: string;
			readonly arrived: ArrivedTrailers;
		},
	): void {
		const { service, caller, address, token, authority, arrived } = facts;
		const front = this.#deps.front();
		const secure = front.isSecure(session.socket);
		const method = headers[":method"] ?? "";
		if (service.settings.requireIdentity === true && caller.principal === null)
			return refuseStream(stream, 401, "identity_required", `"${service.name}" takes nobody without a credential.`);
		// Another site's page makes a browser send its cookie along: then only what changes nothing.
		const changes = method !== "GET" && method !== "HEAD";
		if (caller.ambient && changes && !isSameOrigin(headers.origin ?? null, secure, authority))
			return refuseStream(
				stream,
				403,
				"bad_origin",
				"A page of another origin may not do this with your link's cookie.",
			);
		const waitMs = Math.max(caller.requests?.take("") ?? 0, service.requests?.take("") ?? 0);
		if (waitMs > 0) return refuseStream(stream, 429, "too_many", "Too many requests.", waitMs);
		const { maxBodyBytes, inspect } = service.settings;
		if (maxBodyBytes !== undefined && Number(headers["content-length"] ?? 0) > maxBodyBytes)
			return refuseStream(stream, 413, "body_too_large", `The body is larger than ${maxBodyBytes} bytes.`);
		if (token.token !== null) {
			const fetchMode = single(headers["sec-fetch-mode"]);
			const swap = { token: token.token, target: token.target };
			const fields = swapFields({ method, fetchMode }, swap, caller, secure, front.wallNow);
			if (fields !== null) return answerStream(stream, 303, "", fields);
		}
		this.#admit(session, false);
		const { target } = token;
		const forwardedFor = front.forwardedFor(session.socket, String(headers["x-forwarded-for"] ?? "") || null);
		const forwarded = forwardedHeaders(headers, { target, authority, forwardedFor, secure }, caller);
		const span = front.tracer?.begin(single(headers["traceparent"]) ?? undefined);
		if (span !== undefined) {
			forwarded["traceparent"] = span.traceparent;
			stream.once("close", () => span.end(spanFacts(stream, method, service.name)));
		}
		const exchange: Http2Exchange = new Http2Exchange(
			{
				front,
				take: (avoid) => front.upstreams.take(service.name, avoid, span?.traceparent),
				over: () => this.#running.delete(exchange),
			},
			{
				stream,
				service,
				caller,
				address,
				arrived,
				headers: forwarded,
				afterUrlToken: token.token !== null,
				exchange:
					inspect === true
						? this.#deps.inspector.begin(
								service.name,
								{ method, host: authority, kept: linesOf(headers) },
								target,
								caller,
								address,
							)
						: null,
			},
		);
		this.#running.add(exchange);
		exchange.start().catch((fault: unknown) => {
			front.fault("an HTTP/2 request could not be passed on", fault);
			exchange.cut();
		});
	}

	/** To a service that speaks HTTP/1.1: the request is judged as what it becomes, by the rules of HTTP/1.1. */
	async #cross(
		session: Session,
		stream: ServerHttp2Stream,
		rawHeaders: readonly string[],
		arrived: ArrivedTrailers,
	): Promise<void> {
		const front = this.#deps.front();
		const text = headText(rawHeaders, stream.endAfterHeaders);
		const head = text === null ? null : parseRequestHead(text);
		if (head === null) return refuseStream(stream, 400, "bad_request", "A field of the head is not one of HTTP/1.1.");
		if ("refused" in head)
			return refuseStream(stream, head.status, head.status === 401 ? "unauthorized" : "bad_request", head.message);
		const arrival = arrivalOf(front, session.socket, session.pinned);
		const admission = await admit(front, arrival, head);
		if (stream.destroyed) return;
		switch (admission.kind) {
			case "refused": {
				const { service, status, code, message, retryAfterMs } = admission;
				front.finished(service, status);
				return refuseStream(stream, status, code, message, retryAfterMs);
			}
			case "swapped":
				front.finished(admission.service, 303);
				return answerStream(stream, 303, "", admission.fields);
			case "own":
				return stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED);
			case "admitted": {
				this.#admit(session, false);
				const exchange: CrossingStream = new CrossingStream(
					{ front, over: () => this.#running.delete(exchange) },
					{ ...admission, stream, arrival, arrived },
				);
				this.#running.add(exchange);
				return exchange.start();
			}
		}
	}

	async #tunnel(session: Session, stream: ServerHttp2Stream, headers: IncomingHttpHeaders): Promise<void> {
		const facts = {
			authorization: single(headers.authorization),
			agent: single(headers[agentHeader]),
			name: single(headers[agentNameHeader]),
			address: this.#deps.front().addressOf(session.socket),
			transport: "http2",
		} as const;
		const { endpoint } = this.#deps;
		const admission = await endpoint.admit(facts);
		if (stream.destroyed) return;
		if (!admission.ok)
			return refuseStream(stream, admission.status, admission.code, admission.message, admission.retryAfterMs);
		this.#admit(session, true);
		stream.respond({ ":status": 200, "content-type": "application/octet-stream" });
		await endpoint.park(stream, admission, facts);
		stream.on("data", (bytes: Buffer) => this.#widen(session, bytes.length));
	}

	/** Rule L6. */
	#widen({ http2, agentWindow }: Session, bytes: number): void {
		const { clock } = this.#deps.front();
		if (agentWindow?.received(bytes, clock.monotonic()) !== true || http2.destroyed) return;
		http2.ping(() => {
			const initialWindowSize = agentWindow.answered(clock.monotonic());
			if (initialWindowSize !== null && !http2.destroyed) http2.settings({ initialWindowSize });
		});
	}
}

function runningOf({ request: { service, caller, address } }: Http2Exchange | CrossingStream): Running {
	return { service: service.name, principalId: caller.principal?.principal_id ?? null, address };
}

/** As RFC 9113 §6.5.2 counts. */
function listBytes(rawHeaders: readonly string[]): number {
	return rawHeaders.reduce((sum, text) => sum + text.length + 16, 0);
}
