import { createHash } from "node:crypto";
import type { Socket } from "node:net";
import type { Span } from "@warren/kernel";
import type { Caller, CallerRefusal } from "../identity/callers.ts";
import { ChunkedBody } from "../protocol/chunked.ts";
import { ResetCode } from "../protocol/frames.ts";
import { fieldOf, headLimits, parseRequestHead, type RequestHead, withoutField } from "../protocol/request-head.ts";
import { parseResponseHead } from "../protocol/response-head.ts";
import { linkLost, type StreamUser, type TunnelLink } from "../tunnel/link.ts";
import type { Lease } from "./agents.ts";
import {
	type CookieSwap,
	cookieToken,
	cookieWithoutToken,
	isSameOrigin,
	swapHead,
	takeUrlToken,
} from "./credentials.ts";
import type { Front, Running } from "./front.ts";
import type { Exchange } from "./inspector.ts";
import { refusalText } from "./refusals.ts";
import type { ActiveService } from "./services.ts";

/** Bytes of a client that may wait while an earlier request of it is served. */
const maxPendingBytes = 64 * 1024;
const idempotent: ReadonlySet<string> = new Set(["GET", "HEAD", "OPTIONS", "PUT", "DELETE", "TRACE"]);
const maxTries = 3;
const maxResponseHeadBytes = 64 * 1024;

/**
 *   idle ──head──► judging ──caller──► waiting ──link──► exchange ──answer complete──► idle
 *                     │                    │                 └──101──► spliced
 *                     └────────────────────┴──refused──► idle, or lingering until the client has read it
 */
type State = "idle" | "judging" | "waiting" | "exchange" | "spliced" | "lingering" | "closed";

/**
 * One connection of a client, HTTP/1.1. A head is parsed, judged and rewritten once; everything else is copied, both
 * ways, at the pace of the slower side. Where an answer ends is followed exactly, so that one that was cut never looks
 * whole and the link can serve the next request.
 */
export class ClientConnection implements StreamUser {
	readonly #front: Front;
	readonly #socket: Socket;
	/** Of a port that belongs to one service. */
	readonly #pinned: string | null;
	readonly #peer: string;
	#state: State = "idle";
	#pending: Buffer | null = null;
	/** Coarse; by when this state must have moved on. Infinity = no limit. */
	deadline: number;
	#clientEnded = false;
	#serviceEnded = false;

	// The request at hand.
	#head: RequestHead | null = null;
	#service: ActiveService | null = null;
	#caller: Caller | null = null;
	#address = "";
	#swap: CookieSwap | null = null;
	#forwarded = "";
	#lease: Lease | null = null;
	#tries = 0;
	#stopWaiting: (() => void) | null = null;
	#bodyLeft = 0;
	#bodyChunks: ChunkedBody | null = null;
	#bodyDone = true;
	#bodySent = 0;
	#startedAt = 0;
	#exchange: Exchange | null = null;
	#span: Span | null = null;

	// Its answer.
	#answerHead: Buffer | null = null;
	#answering = false;
	#answerKind: "none" | "length" | "chunked" | "close" = "none";
	#answerLeft = 0;
	#answerChunks: ChunkedBody | null = null;
	#answerRechunk = false;
	#answerReusable = false;
	#keepAlive = false;
	#status = 0;
	/** When a WebSocket must end; as `deadline`. */
	#splicedUntil = Number.POSITIVE_INFINITY;

	constructor(front: Front, socket: Socket, pinned: string | null) {
		this.#front = front;
		this.#socket = socket;
		this.#pinned = pinned;
		this.#peer = front.addressOf(socket);
		this.deadline = front.now + front.limits.headTimeoutMs;
		socket.on("data", this.#onData);
		socket.on("drain", this.#onSocketDrain);
		socket.on("end", this.#onSocketEnd);
		socket.on("error", this.#onSocketGone);
		socket.on("close", this.#onSocketGone);
	}

	get isIdle(): boolean {
		return this.#state === "idle" && this.#pending === null;
	}

	/** Null between requests. */
	get running(): Running | null {
		if (this.#service === null || this.#caller === null || this.#state === "idle") return null;
		const principalId = this.#caller.principal?.principal_id ?? null;
		return { service: this.#service.name, principalId, address: this.#address };
	}

	/** The deadline has passed. */
	expire(): void {
		switch (this.#state) {
			case "idle":
				// Half a head: say so. A connection that is merely unused just ends.
				if (this.#pending !== null) this.#refuse(408, "slow_head", "The request's head did not come in time.", true);
				else this.destroy();
				return;
			case "exchange":
				if (this.#answering || !this.#bodyDone) return this.#break();
				this.#drop(ResetCode.timeout, "no answer in time");
				this.#refuse(504, "service_slow", "The service did not answer in time.", true);
				return;
			case "spliced":
				return this.#break();
			default:
				this.destroy();
		}
	}

	/** No clean end: whatever was on its way is seen to be cut. */
	#break(): void {
		this.#drop(ResetCode.cancelled, "the client's connection was cut");
		this.#endSpan(null);
		this.#state = "closed";
		this.#socket.resetAndDestroy();
		this.#front.forget(this);
	}

	/** For a shutdown: what is idle goes at once, the rest after its answer. */
	drain(): void {
		this.#keepAlive = false;
		if (this.#state === "idle" && this.#pending === null) this.destroy();
		else if (this.#state === "spliced") this.#break();
	}

	destroy(): void {
		if (this.#state === "closed") return;
		this.#drop(ResetCode.cancelled, "the client left");
		this.#endSpan(null);
		this.#state = "closed";
		this.#socket.destroy();
		this.#front.forget(this);
	}

	cut(): void {
		if (this.#state !== "closed") this.#break();
	}

	// ── from the client ──

	readonly #onData = (chunk: Buffer): void => {
		switch (this.#state) {
			case "idle":
				if (this.#pending === null) this.deadline = this.#front.now + this.#front.limits.headTimeoutMs;
				this.#pending = this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk]);
				this.#readHead();
				return;
			case "exchange":
				if (this.#bodyDone) break;
				this.#feedBody(chunk);
				return;
			case "spliced":
				this.#toService(chunk);
				return;
			case "lingering":
			case "closed":
				return;
		}
		this.#pending = this.#pending === null ? chunk : Buffer.concat([this.#pending, chunk]);
		if (this.#pending.length > maxPendingBytes) this.#socket.pause();
	};

	readonly #onSocketDrain = (): void => {
		if (this.#state === "spliced") this.deadline = this.#splicedUntil;
		this.#lease?.link.resume();
	};

	readonly #onSocketEnd = (): void => {
		this.#clientEnded = true;
		// A half-closed WebSocket is legal; a half-closed request is a client that has left, as every proxy takes it.
		if (this.#state === "spliced") {
			const link = this.#lease?.link;
			// Over both ways: the link is the next one's.
			if (this.#serviceEnded) this.#lease = null;
			link?.end();
		} else if (this.#state === "exchange" || this.#state === "waiting" || this.#state === "judging") this.#break();
		else this.destroy();
	};

	readonly #onSocketGone = (): void => {
		this.destroy();
	};

	#readHead(): void {
		const pending = this.#pending as Buffer;
		const end = pending.indexOf("\r\n\r\n");
		if (end === -1 || end > headLimits.maxHeadBytes) {
			if (pending.length > headLimits.maxHeadBytes)
				this.#refuse(431, "head_too_large", `The head is larger than ${headLimits.maxHeadBytes} bytes.`, true);
			// Another protocol, or a request that no line of HTTP begins: said at once, before its deadline.
			else if (end === -1 && pending[0] !== undefined && (pending[0] <= 0x20 || pending[0] >= 0x7f))
				this.#refuse(400, "bad_request", "This is not HTTP/1.1.", true);
			return;
		}
		if (pending.toString("latin1", 0, 14) === "PRI * HTTP/2.0") return this.#speakHttp2(pending);
		const headBytes = pending.subarray(0, end + 4);
		const head = parseRequestHead(headBytes.toString("latin1"));
		this.#startedAt = this.#front.now;
		if ("refused" in head) return this.#refuse(head.status, codeOf(head.status), head.message, true);
		this.#pending = pending.length > end + 4 ? pending.subarray(end + 4) : null;
		this.#keepAlive = head.keepAlive && !this.#front.draining;
		this.#head = head;
		this.#bodySent = 0;
		this.#bodyDone = head.body.kind === "none";
		this.#bodyLeft = head.body.kind === "length" ? head.body.bytes : 0;
		this.#bodyChunks = head.body.kind === "chunked" ? new ChunkedBody() : null;
		this.#route(head, headBytes);
	}

	#route(head: RequestHead, headBytes: Buffer): void {
		const route = this.#front.route(head.host, this.#socket, this.#pinned);
		if (route === null)
			return this.#refuse(421, "wrong_host", `"${head.host.slice(0, 200)}" is not a name of this server.`, false);
		if (route.kind === "own") return this.#handOver(headBytes);
		if (route.kind === "unknown")
			return this.#refuse(404, "unknown_service", `There is no service "${route.name.slice(0, 63)}" here.`, false);
		const { service } = route;
		this.#service = service;
		if (service.kind !== "http")
			return this.#refuse(
				505,
				"wrong_protocol",
				`"${service.name}" is a service of kind ${service.kind}, which HTTP/1.1 does not reach.`,
				false,
			);
		this.#address =
			head.forwardedFor === null ? this.#peer : this.#front.clientAddress(this.#socket, head.forwardedFor);
		if (!service.admits(this.#address))
			return this.#refuse(403, "address_refused", `${this.#address} may not reach "${service.name}".`, false);
		this.#judge(head, service);
	}

	#judge(head: RequestHead, service: ActiveService): void {
		const token = takeUrlToken(head.target);
		if (token.fault !== null) return this.#refuse(401, "unauthorized", token.fault, false);
		const fromCookie = head.cookie === null ? null : cookieToken(head.cookie);
		const question = token.target.indexOf("?");
		const verdict = this.#front.callers.judge(
			{ credential: head.credential, assertion: head.assertion, urlToken: token.token, cookieToken: fromCookie },
			{
				service: service.name,
				method: head.method,
				path: question === -1 ? token.target : token.target.slice(0, question),
				now: this.#front.wallNow,
			},
			this.#address,
		);
		this.#swap = token.token === null ? null : { token: token.token, target: token.target };
		if (!(verdict instanceof Promise)) return this.#judged(verdict, token.target);
		this.#state = "judging";
		this.deadline = Number.POSITIVE_INFINITY;
		verdict.then(
			(settled) => {
				if (this.#state === "judging") this.#judged(settled, token.target);
			},
			(fault: unknown) => {
				this.#front.fault("a request could not be judged", fault);
				if (this.#state === "judging") this.#refuse(503, "unavailable", "Nobody can be identified right now.", true);
			},
		);
	}

	#judged(caller: Caller | CallerRefusal, target: string): void {
		const head = this.#head as RequestHead;
		const service = this.#service as ActiveService;
		if (!caller.ok) return this.#refuse(caller.status, caller.code, caller.message, false, caller.retryAfterMs);
		this.#caller = caller;
		if (service.settings.requireIdentity === true && caller.principal === null)
			return this.#refuse(401, "identity_required", `"${service.name}" takes nobody without a credential.`, false);
		// Another site's page makes a browser send its cookie along: then only what changes nothing, and no WebSocket.
		if (
			caller.ambient &&
			(head.webSocketKey !== null || (head.method !== "GET" && head.method !== "HEAD")) &&
			!isSameOrigin(head.origin, this.#front.isSecure(this.#socket), head.host)
		)
			return this.#refuse(
				403,
				"bad_origin",
				"A page of another origin may not do this with your link's cookie.",
				false,
			);
		const waitMs = Math.max(caller.requests?.take("") ?? 0, service.requests?.take("") ?? 0);
		if (waitMs > 0) return this.#refuse(429, "too_many", "Too many requests.", false, waitMs);
		const { maxBodyBytes } = service.settings;
		if (maxBodyBytes !== undefined && head.body.kind === "length" && head.body.bytes > maxBodyBytes)
			return this.#refuse(413, "body_too_large", `The body is larger than ${maxBodyBytes} bytes.`, true);
		if (this.#swap !== null) {
			const swapped = swapHead(head, this.#swap, caller, this.#front.isSecure(this.#socket), this.#front.wallNow);
			if (swapped !== null) {
				this.#socket.write(swapped);
				return this.#finishLocal();
			}
		}
		this.#span = this.#front.tracer?.begin(fieldOf(head.kept, "traceparent")) ?? null;
		this.#forwarded = this.#headFor(head, target, caller);
		this.#exchange =
			service.settings.inspect === true
				? this.#front.inspector.begin(service.name, head, target, caller, this.#address)
				: null;
		this.#tries = 0;
		const owedMs = this.#owedMs();
		if (owedMs === 0) return this.#acquire(null);
		this.#state = "waiting";
		this.deadline = Number.POSITIVE_INFINITY;
		this.#front.clock.after(owedMs, () => {
			if (this.#state === "waiting") this.#acquire(null);
		});
	}

	/** The head as the service gets it: hop-by-hop is gone, ours comes last and once. */
	#headFor(head: RequestHead, target: string, caller: Caller): string {
		const cookie = head.cookie === null ? null : cookieWithoutToken(head.cookie);
		const kept =
			this.#span === null
				? head.kept
				: `${withoutField(head.kept, "traceparent")}traceparent: ${this.#span.traceparent}\r\n`;
		return (
			`${head.method} ${target} HTTP/1.${head.minorVersion}\r\nHost: ${head.host}\r\n${kept}` +
			(cookie === null || cookie === "" ? "" : `Cookie: ${cookie}\r\n`) +
			`X-Forwarded-For: ${this.#front.forwardedFor(this.#socket, head.forwardedFor)}\r\n` +
			`X-Forwarded-Proto: ${this.#front.isSecure(this.#socket) ? "https" : "http"}\r\nX-Forwarded-Host: ${head.host}\r\n` +
			caller.lines +
			(head.webSocketKey === null
				? head.minorVersion === 0
					? "Connection: close\r\n\r\n"
					: "\r\n"
				: "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
		);
	}

	#acquire(avoid: Lease | null): void {
		const service = this.#service as ActiveService;
		const agents = this.#front.pool.of(service.name);
		const lease = agents.take(true, avoid?.agent ?? null);
		if (lease !== null) return this.#begin(lease);
		this.#state = "waiting";
		this.deadline = Number.POSITIVE_INFINITY;
		this.#stopWaiting = agents.wait(true, (waited) => {
			this.#stopWaiting = null;
			if (this.#state !== "waiting") return;
			if (waited === null) this.#noAgent();
			else this.#begin(waited);
		});
		if (this.#stopWaiting === null && this.#state === "waiting") this.#noAgent();
	}

	#noAgent(): void {
		const name = this.#service?.name ?? "";
		this.#refuse(
			503,
			"no_agent",
			`No agent of "${name}" can take this now.`,
			this.#bodySent > 0 || !this.#bodyDone,
			2000,
		);
	}

	#begin(lease: Lease): void {
		const { link } = lease;
		this.#lease = lease;
		this.#state = "exchange";
		this.#tries += 1;
		this.#answering = false;
		this.#answerHead = null;
		this.deadline = this.#front.now + this.#front.limits.answerTimeoutMs;
		if (lease.warm) link.user = this;
		else link.open({ kind: "http" }, this);
		const pending = this.#pending;
		if (pending !== null && !this.#bodyDone) {
			this.#pending = null;
			link.writeText(this.#forwarded, null);
			this.#feedBody(pending);
		} else link.writeText(this.#forwarded, null);
		if (!this.#bodyDone && this.#socket.isPaused()) this.#socket.resume();
	}

	#feedBody(chunk: Buffer): void {
		const head = this.#head as RequestHead;
		let used = chunk.length;
		if (this.#bodyChunks === null) {
			used = Math.min(chunk.length, this.#bodyLeft);
			this.#bodyLeft -= used;
			this.#bodyDone = this.#bodyLeft === 0;
			this.#toService(used === chunk.length ? chunk : chunk.subarray(0, used));
		} else {
			const step = this.#bodyChunks.feed(chunk);
			if (step.fault !== null) {
				this.#drop(ResetCode.cancelled, "the request's body is malformed");
				if (this.#answering) return this.#break();
				return this.#refuse(400, "bad_request", `The body is refused: ${step.fault}.`, true);
			}
			used = step.used;
			this.#bodyDone = step.ended;
			for (const piece of step.out) if (piece.length > 0) this.#toService(piece);
		}
		this.#bodySent += used;
		const max = this.#service?.settings.maxBodyBytes;
		if (max !== undefined && this.#bodySent > max && head.body.kind === "chunked") {
			this.#drop(ResetCode.limit, "the request's body is too large");
			if (this.#answering) return this.#break();
			return this.#refuse(413, "body_too_large", `The body is larger than ${max} bytes.`, true);
		}
		this.deadline = this.#front.now + this.#front.limits.answerTimeoutMs;
		if (this.#bodyDone && used < chunk.length) {
			this.#pending = chunk.subarray(used);
			if (this.#pending.length > maxPendingBytes) this.#socket.pause();
		}
	}

	#toService(data: Buffer): void {
		this.#front.bytesIn += data.length;
		if (this.#exchange !== null && this.#state === "exchange") this.#exchange.requestBytes(data);
		if (this.#lease?.link.write(data) === false) this.#socket.pause();
		this.#slowDown(data.length, this.#socket);
	}

	/** Bandwidth limits: what passed is waited for by whoever sent it. */
	#slowDown(bytes: number, source: { pause(): void; resume(): void }): void {
		const service = this.#service?.throttle;
		const own = this.#caller?.throttle;
		if ((service === null || service === undefined) && (own === null || own === undefined)) return;
		const now = this.#front.clock.monotonic();
		const waitMs = Math.max(service?.passed(bytes, now) ?? 0, own?.passed(bytes, now) ?? 0);
		if (waitMs === 0) return;
		source.pause();
		this.deadline = this.#splicedUntil;
		this.#front.clock.after(waitMs, () => {
			// The link may be another request's by now.
			if (this.#state !== "closed" && (source === this.#socket || source === this.#lease?.link)) source.resume();
		});
	}

	/** What was sent over a limit is paid off before the next request begins. */
	#owedMs(): number {
		const service = this.#service?.throttle ?? null;
		const own = this.#caller?.throttle ?? null;
		if (service === null && own === null) return 0;
		const now = this.#front.clock.monotonic();
		return Math.max(service?.waitMs(now) ?? 0, own?.waitMs(now) ?? 0);
	}

	// ── from the service ──

	onData(piece: Buffer): void {
		if (this.#state === "spliced") return this.#toClient(piece);
		this.deadline = this.#front.now + this.#front.limits.idleTimeoutMs;
		if (this.#answering) return this.#feedAnswer(piece);
		let bytes = this.#answerHead === null ? piece : Buffer.concat([this.#answerHead, piece]);
		for (;;) {
			const end = bytes.indexOf("\r\n\r\n");
			if (end === -1) {
				if (bytes.length > maxResponseHeadBytes)
					return this.#badAnswer(`its head is larger than ${maxResponseHeadBytes} bytes`);
				this.#answerHead = bytes;
				return;
			}
			const rest = bytes.subarray(end + 4);
			if (!this.#answer(bytes.toString("latin1", 0, end + 4), rest)) return;
			// An interim answer: the real one follows.
			bytes = rest;
			if (bytes.length === 0) {
				this.#answerHead = null;
				return;
			}
		}
	}

	/** @returns true for an interim answer. */
	#answer(text: string, rest: Buffer): boolean {
		const request = this.#head as RequestHead;
		const head = parseResponseHead(text, request.method);
		if (typeof head === "string") {
			this.#badAnswer(head);
			return false;
		}
		if (head.status === 101) {
			this.#upgrade(head.webSocketAccept, head.kept, rest);
			return false;
		}
		if (head.status < 200) {
			if (request.minorVersion === 1) this.#socket.write(`HTTP/1.1 ${head.statusLine}\r\n${head.kept}\r\n`, "latin1");
			return true;
		}
		this.#answering = true;
		this.#answerHead = null;
		this.#status = head.status;
		const { body } = head;
		this.#answerKind = body.kind;
		this.#answerLeft = body.kind === "length" ? body.bytes : 0;
		this.#answerChunks = body.kind === "chunked" ? new ChunkedBody() : null;
		this.#answerRechunk = body.kind === "close" && request.minorVersion === 1;
		this.#answerReusable = head.reusable;
		if (!this.#bodyDone || request.minorVersion === 0 || this.#front.draining) this.#keepAlive = false;
		const out =
			`HTTP/1.1 ${head.statusLine}\r\n${head.kept}` +
			(this.#answerRechunk ? "Transfer-Encoding: chunked\r\n" : "") +
			(this.#swap === null ? "" : "Referrer-Policy: no-referrer\r\n") +
			(this.#keepAlive ? "\r\n" : "Connection: close\r\n\r\n");
		if (body.kind === "none") {
			this.#socket.write(out, "latin1");
			this.#front.bytesOut += out.length;
			this.#complete(rest.length);
			return false;
		}
		if (body.kind === "length" && rest.length > 0 && rest.length <= 16 * 1024 && rest.length <= body.bytes) {
			// Head and small body in one write.
			const whole = Buffer.allocUnsafe(out.length + rest.length);
			whole.write(out, 0, "latin1");
			whole.set(rest, out.length);
			this.#answerLeft -= rest.length;
			if (!this.#socket.write(whole)) this.#lease?.link.pause();
			this.#front.bytesOut += whole.length;
			this.#exchange?.answerBytes(rest);
			this.#slowDown(rest.length, this.#lease?.link as TunnelLink);
			if (this.#answerLeft === 0) this.#complete(0);
			return false;
		}
		this.#socket.write(out, "latin1");
		if (rest.length > 0) this.#feedAnswer(rest);
		return false;
	}

	#feedAnswer(piece: Buffer): void {
		switch (this.#answerKind) {
			case "length": {
				const used = Math.min(piece.length, this.#answerLeft);
				this.#answerLeft -= used;
				this.#toClient(used === piece.length ? piece : piece.subarray(0, used));
				if (this.#answerLeft === 0 && this.#state === "exchange") this.#complete(piece.length - used);
				return;
			}
			case "chunked": {
				const step = (this.#answerChunks as ChunkedBody).feed(piece);
				if (step.fault !== null) return this.#break();
				for (const part of step.out) if (part.length > 0) this.#toClient(part);
				if (step.ended && this.#state === "exchange") this.#complete(piece.length - step.used);
				return;
			}
			case "close":
				if (piece.length === 0) return;
				if (!this.#answerRechunk) return this.#toClient(piece);
				this.#socket.cork();
				this.#socket.write(`${piece.length.toString(16)}\r\n`, "latin1");
				this.#toClient(piece);
				this.#socket.write("\r\n", "latin1");
				this.#socket.uncork();
				return;
			case "none":
				return;
		}
	}

	#toClient(data: Buffer): void {
		this.#front.bytesOut += data.length;
		if (this.#exchange !== null && this.#state === "exchange") this.#exchange.answerBytes(data);
		const link = this.#lease?.link;
		if (!this.#socket.write(data)) {
			link?.pause();
			this.deadline = Math.min(this.#splicedUntil, this.#front.now + this.#front.limits.idleTimeoutMs);
		}
		if (link !== undefined) this.#slowDown(data.length, link);
	}

	/** The answer is whole. @param extra bytes that came after its end: nobody asked for them. */
	#complete(extra: number): void {
		const lease = this.#lease as Lease;
		this.#lease = null;
		const { link, agent } = lease;
		agent.refusals = 0;
		link.user = null;
		if (this.#answerReusable && extra === 0 && this.#bodyDone && link.isOpen) {
			if (link.channel.isPaused()) link.resume();
			agent.park(link);
		} else link.reset(ResetCode.cancelled, "the exchange is over");
		this.#finishLocal();
	}

	#finishLocal(): void {
		this.#front.finished(this.#service, this.#status, this.#caller);
		this.#exchange?.done(this.#status, this.#front.now - this.#startedAt);
		this.#exchange = null;
		this.#endSpan(this.#status);
		this.#status = 0;
		this.#swap = null;
		if (!this.#keepAlive || !this.#bodyDone) return this.#linger();
		this.#state = "idle";
		this.#caller = null;
		this.deadline = this.#front.now + this.#front.limits.keepAliveMs;
		if (this.#socket.isPaused()) this.#socket.resume();
		// Not from within: a flood of pipelined requests must let others have their turn.
		if (this.#pending !== null) setImmediate(() => this.#next());
	}

	#next(): void {
		if (this.#state !== "idle" || this.#pending === null) return;
		this.deadline = this.#front.now + this.#front.limits.headTimeoutMs;
		this.#readHead();
	}

	/** Says that it is over and lets the client read it: a connection that is closed on unread bytes loses them. */
	#linger(): void {
		this.#state = "lingering";
		this.#pending = null;
		this.deadline = this.#front.now + this.#front.limits.lingerMs;
		this.#socket.end();
		this.#socket.resume();
	}

	#upgrade(accept: string | null, kept: string, rest: Buffer): void {
		const key = this.#head?.webSocketKey ?? null;
		if (key === null || accept !== acceptOf(key))
			return this.#badAnswer("it switches protocols, and nobody asked it to");
		this.#state = "spliced";
		this.#front.finished(this.#service, 101, this.#caller);
		this.#exchange?.done(101, this.#front.now - this.#startedAt);
		this.#exchange = null;
		this.#endSpan(101);
		// A URL token that lets somebody in for an hour does so for an hour.
		const endsAt = this.#caller?.tokenEndsAt ?? null;
		this.#splicedUntil = endsAt === null ? Number.POSITIVE_INFINITY : this.#front.now + endsAt - this.#front.wallNow;
		this.deadline = this.#splicedUntil;
		this.#socket.write(
			`HTTP/1.1 101 Switching Protocols\r\n${kept}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
			"latin1",
		);
		if (rest.length > 0) this.#toClient(rest);
		const pending = this.#pending;
		this.#pending = null;
		if (pending !== null) this.#toService(pending);
		if (this.#socket.isPaused()) this.#socket.resume();
	}

	#badAnswer(why: string): void {
		this.#drop(ResetCode.protocol, why);
		if (this.#answering) return this.#break();
		this.#refuse(502, "bad_answer", `The service's answer is refused: ${why}.`, !this.#bodyDone);
	}

	onEnd(): void {
		if (this.#state === "spliced") {
			this.#serviceEnded = true;
			this.#socket.end();
			if (this.#clientEnded) this.#lease = null;
			return;
		}
		if (this.#answering && this.#answerKind === "close") {
			if (this.#answerRechunk) this.#socket.write("0\r\n\r\n", "latin1");
			return this.#complete(0);
		}
		if (this.#answering) return this.#break();
		const lease = this.#lease as Lease;
		lease.link.user = null;
		lease.link.reset(ResetCode.cancelled, "no answer");
		this.#lease = null;
		this.#again(lease, "The service closed its connection without an answer.");
	}

	onBroken(code: number, reason: string): void {
		const lease = this.#lease as Lease;
		this.#lease = null;
		if (this.#state === "spliced" || this.#answering) return this.#break();
		if (code === ResetCode.refused || code === ResetCode.timeout) lease.agent.refusals += 1;
		this.#again(
			lease,
			code === linkLost
				? "The agent was lost before it answered."
				: code === ResetCode.refused
					? "The service behind the agent refuses connections."
					: `The service did not answer: ${reason.slice(0, 200)}.`,
		);
	}

	/** Once more with another link, when nothing of a body was consumed and asking twice does no harm. */
	#again(failed: Lease, message: string): void {
		const head = this.#head as RequestHead;
		const mayRepeat =
			this.#bodySent === 0 &&
			head.webSocketKey === null &&
			(idempotent.has(head.method) ? this.#tries < maxTries : false);
		if (mayRepeat && this.#front.pool.of((this.#service as ActiveService).name).live) return this.#acquire(failed);
		this.#refuse(502, "service_unreachable", message, !this.#bodyDone);
	}

	onDrain(): void {
		if (this.#socket.isPaused()) this.#socket.resume();
	}

	// ── ends ──

	#endSpan(status: number | null): void {
		const span = this.#span;
		if (span === null) return;
		this.#span = null;
		const method = this.#head?.method ?? "";
		span.end({
			name: `${method} service`,
			...(status === null ? {} : { status }),
			attributes: {
				"warren.role": "backbone",
				"warren.service": this.#service?.name ?? "",
				"warren.tries": this.#tries,
				"http.request.method": method,
				...(status === null ? { "error.type": "aborted" } : {}),
			},
		});
	}

	/** Lets go of the link or of the wait for one. */
	#drop(code: number, reason: string): void {
		this.#stopWaiting?.();
		this.#stopWaiting = null;
		const lease = this.#lease;
		if (lease === null) return;
		this.#lease = null;
		if (lease.link.user === this) lease.link.reset(code, reason);
	}

	#refuse(status: number, code: string, message: string, close: boolean, retryAfterMs = 0): void {
		this.#stopWaiting?.();
		this.#stopWaiting = null;
		this.#status = status;
		// What is left of a body would be read as the next request.
		if (close || !this.#bodyDone) this.#keepAlive = false;
		this.#socket.write(
			refusalText({ status, code, message, retryAfterMs, keepAlive: this.#keepAlive, head: this.#head }),
		);
		this.#finishLocal();
	}

	#speakHttp2(bytes: Buffer): void {
		this.#letGo();
		this.#front.handOverHttp2(this.#socket, bytes, this.#pinned);
	}

	/** The names of the backbone itself are the API's: its listener takes the connection over, from this head on. */
	#handOver(headBytes: Buffer): void {
		this.#letGo();
		this.#front.handOver(this.#socket, this.#head as RequestHead, headBytes, this.#pending);
	}

	#letGo(): void {
		const socket = this.#socket;
		socket.off("data", this.#onData);
		socket.off("drain", this.#onSocketDrain);
		socket.off("end", this.#onSocketEnd);
		socket.off("error", this.#onSocketGone);
		socket.off("close", this.#onSocketGone);
		socket.pause();
		this.#state = "closed";
		this.#front.forget(this);
	}
}

function acceptOf(key: string): string {
	return createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}

function codeOf(status: number): string {
	switch (status) {
		case 401:
			return "unauthorized";
		case 405:
			return "method_not_allowed";
		case 414:
			return "target_too_long";
		case 431:
			return "head_too_large";
		case 505:
			return "wrong_protocol";
		default:
			return "bad_request";
	}
}
