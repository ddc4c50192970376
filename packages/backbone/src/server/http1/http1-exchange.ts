import type { Socket } from "node:net";
import type { Span, SpanFacts } from "@warren/kernel";
import { fieldOf } from "../../protocol/field-lines.ts";
import { ResetCode } from "../../protocol/frames.ts";
import type { ResponseHead } from "../../protocol/response-head.ts";
import type { StreamUser, TunnelLink } from "../../tunnel/link.ts";
import type { Lease } from "../agents/agent.ts";
import { brokenBeforeAnswer, idempotent } from "../broken-link.ts";
import type { Front } from "../front.ts";
import type { Exchange } from "../inspector.ts";
import { Pace } from "../pace.ts";
import type { AdmittedRequest } from "./admission.ts";
import { AnswerBody, lastChunk } from "./answer-body.ts";
import { AnswerHead, answerText } from "./answer-head.ts";
import type { ClientConnection } from "./client-connection.ts";
import { forwardedHead } from "./forwarded-head.ts";
import { LinkSearch } from "./link-search.ts";
import { RequestBody } from "./request-body.ts";
import { accepts, WebSocketSplice } from "./web-socket-splice.ts";

/** Of an answer's first bytes: so many travel in one buffer with its head; above it a copy costs more than a second one. */
const copyBelowBytes = 16 * 1024;

/**
 * One request of a client at its service: the head rewritten, everything else copied, both ways, at the pace of the
 * slower side.
 *
 *   waiting ──link──► running ──answer whole, refused, broken──► over
 *      ▲                 │ └──101──► a `WebSocketSplice` takes its place
 *      └──another link───┘
 */
export class Http1Exchange implements StreamUser {
	readonly request: AdmittedRequest;
	readonly #connection: ClientConnection;
	readonly #front: Front;
	readonly #body: RequestBody;
	readonly #forwarded: string;
	readonly #pace: Pace | null;
	readonly #record: Exchange | null;
	#span: Span | null;
	readonly #startedAt: number;
	#state: "waiting" | "running" | "over" = "waiting";
	readonly #search: LinkSearch;
	#lease: Lease | null = null;
	#head = new AnswerHead();
	/** Null until the answer's head has been passed on. */
	#answer: AnswerBody | null = null;
	#reusable = false;
	/** The client's last piece is paid off after so many milliseconds. */
	#waitMs = 0;
	#status = 0;

	constructor(connection: ClientConnection, request: AdmittedRequest) {
		const { front, arrival } = connection;
		const { head, service, caller, target, address } = request;
		this.#connection = connection;
		this.#front = front;
		this.request = request;
		this.#body = new RequestBody(head.body);
		this.#search = new LinkSearch(front.pool, service.name, (lease) => this.#found(lease));
		this.#span = front.tracer?.begin(fieldOf(head.kept, "traceparent")) ?? null;
		this.#forwarded = forwardedHead(front, arrival, request, this.#span);
		this.#pace = Pace.of(front.clock, service.throttle, caller.throttle);
		this.#record =
			service.settings.inspect === true ? front.inspector.begin(service.name, head, target, caller, address) : null;
		this.#startedAt = front.now;
	}

	/** Bytes of the client are wanted now. */
	get takesBody(): boolean {
		return this.#state === "running" && !this.#body.done;
	}

	// ── a link ──

	start(): void {
		const owedMs = this.#pace?.owedMs() ?? 0;
		if (owedMs === 0) return this.#acquire(null);
		this.#connection.deadline = Number.POSITIVE_INFINITY;
		this.#front.clock.after(owedMs, () => {
			if (this.#state === "waiting") this.#acquire(null);
		});
	}

	#acquire(avoid: Lease | null): void {
		this.#state = "waiting";
		// Waits for links have a limit of their own.
		if (!this.#search.start(avoid?.agent ?? null)) this.#connection.deadline = Number.POSITIVE_INFINITY;
	}

	#found(lease: Lease | null): void {
		if (this.#state !== "waiting") return;
		if (lease !== null) return this.#begin(lease);
		const message = `No agent of "${this.request.service.name}" can take this now.`;
		this.#refuse(503, "no_agent", message, this.#body.taken > 0, 2000);
	}

	#begin(lease: Lease): void {
		const { link } = lease;
		const { socket } = this.#connection;
		this.#lease = lease;
		this.#state = "running";
		this.#answer = null;
		this.#connection.deadline = this.#front.now + this.#front.limits.answerTimeoutMs;
		const pending = this.#body.done ? null : this.#connection.takePending();
		if (lease.warm && pending === null) {
			link.user = this;
			this.#forward(link);
		} else {
			// One write for all that is there.
			link.channel.cork();
			if (lease.warm) link.user = this;
			else link.open({ kind: "http", ...(this.#span === null ? {} : { traceparent: this.#span.traceparent }) }, this);
			this.#forward(link);
			if (pending !== null) this.fromClient(pending);
			link.channel.uncork();
		}
		if (!this.#body.done && socket.isPaused()) socket.resume();
	}

	#forward(link: TunnelLink): void {
		link.writeText(this.#forwarded);
		const { body } = this.request.head;
		if (body.kind === "length") link.announce(body.bytes);
	}

	// ── the request's body ──

	/** Only while `takesBody`. */
	fromClient(bytes: Buffer): void {
		const used = this.#body.feed(bytes, (piece) => this.#toService(piece));
		if (typeof used === "string") {
			this.cancel(ResetCode.cancelled, "the request's body is malformed");
			return this.#refuse(400, "bad_request", `The body is refused: ${used}.`, true);
		}
		const { maxBodyBytes } = this.request.service.settings;
		if (maxBodyBytes !== undefined && this.#body.isChunked && this.#body.taken > maxBodyBytes) {
			this.cancel(ResetCode.limit, "the request's body is too large");
			return this.#refuse(413, "body_too_large", `The body is larger than ${maxBodyBytes} bytes.`, true);
		}
		this.#connection.deadline = this.#front.now + this.#waitMs + this.#front.limits.answerTimeoutMs;
		if (this.#body.done && used < bytes.length) this.#connection.keep(bytes.subarray(used));
	}

	#toService(piece: Buffer): void {
		const { socket } = this.#connection;
		this.#front.bytesIn += piece.length;
		this.#record?.requestBytes(piece);
		if (this.#lease?.link.write(piece) === false) socket.pause();
		if (this.#pace === null) return;
		this.#waitMs = this.#pace.passed(piece.length, socket, () => {
			if (this.#connection.isOpen) socket.resume();
		});
	}

	onDrain(): void {
		const { socket } = this.#connection;
		if (socket.isPaused()) socket.resume();
	}

	// ── the answer ──

	onData(piece: Buffer): void {
		this.#connection.deadline = this.#front.now + this.#front.limits.idleTimeoutMs;
		if (this.#answer !== null) return this.#feed(this.#answer, piece);
		let bytes: Buffer | null = piece;
		while (bytes !== null) {
			const whole = this.#head.feed(bytes, this.request.head.method);
			if (whole === null) return;
			if (typeof whole === "string") return this.#badAnswer(whole);
			const { head, rest } = whole;
			if (head.status === 101) return this.#upgrade(head, rest);
			if (head.status >= 200) return this.#begun(head, rest);
			// An interim answer: the real one follows.
			if (this.request.head.minorVersion === 1) this.#interim(`HTTP/1.1 ${head.statusLine}\r\n${head.kept}\r\n`);
			bytes = rest;
		}
	}

	#interim(text: string): void {
		this.#front.bytesOut += text.length;
		if (!this.#connection.socket.write(text, "latin1")) this.#lease?.link.pause();
	}

	#begun(head: ResponseHead, rest: Buffer | null): void {
		const connection = this.#connection;
		const { socket } = connection;
		const { minorVersion } = this.request.head;
		const answer = new AnswerBody(head.body, minorVersion);
		this.#answer = answer;
		if (head.body.kind === "length") this.#lease?.link.expect(head.body.bytes);
		this.#status = head.status;
		// HTTP/2 gets connections of its own.
		this.#reusable = head.reusable && this.request.service.kind === "http";
		if (!this.#body.done || minorVersion === 0 || this.#front.draining) connection.keepAlive = false;
		const { rechunked } = answer;
		const afterUrlToken = this.request.swap !== null;
		const text = answerText(head, { rechunked, afterUrlToken, keepAlive: connection.keepAlive });
		this.#front.bytesOut += text.length;
		if (rest === null || answer.done) {
			socket.write(text, "latin1");
			if (answer.done) this.#whole(rest?.length ?? 0);
			return;
		}
		if (answer.kind === "length" && rest.length <= copyBelowBytes) {
			let both: Buffer | undefined;
			const used = answer.feed(rest, (piece) => {
				both = Buffer.allocUnsafe(text.length + piece.length);
				both.write(text, 0, "latin1");
				both.set(piece, text.length);
				this.#record?.answerBytes(piece);
				this.#front.bytesOut += piece.length;
			}) as number;
			if (!socket.write(both as Buffer)) this.#lease?.link.pause();
			this.#paced(used);
			if (answer.done) this.#whole(rest.length - used);
			return;
		}
		socket.cork();
		socket.write(text, "latin1");
		this.#feed(answer, rest);
		socket.uncork();
	}

	#feed(answer: AnswerBody, bytes: Buffer): void {
		const used = answer.feed(bytes, (piece) => this.#toClient(piece));
		if (typeof used === "string") return this.#connection.cut();
		if (answer.done && this.#state === "running") this.#whole(bytes.length - used);
	}

	#toClient(piece: Buffer): void {
		this.#front.bytesOut += piece.length;
		this.#record?.answerBytes(piece);
		const { socket } = this.#connection;
		// What comes in one read goes out in one write.
		if (socket.writableCorked === 0) {
			socket.cork();
			process.nextTick(uncork, socket);
		}
		if (!socket.write(piece)) this.#lease?.link.pause();
		this.#paced(piece.length);
	}

	#paced(bytes: number): void {
		const link = this.#lease?.link;
		if (link === undefined || this.#pace === null) return;
		// The link may be another request's by then.
		const waitMs = this.#pace.passed(bytes, link, () => {
			if (link === this.#lease?.link) link.resume();
		});
		this.#connection.deadline = this.#front.now + waitMs + this.#front.limits.idleTimeoutMs;
	}

	clientDrained(): void {
		this.#lease?.link.resume();
	}

	/** The answer is whole. @param extra bytes that came after its end: nobody asked for them. */
	#whole(extra: number): void {
		const { link, agent } = this.#lease as Lease;
		this.#lease = null;
		agent.refusals = 0;
		link.user = null;
		if (this.#reusable && extra === 0 && this.#body.done && link.isOpen) {
			if (link.channel.isPaused()) link.resume();
			agent.park(link);
		} else link.reset(ResetCode.cancelled, "the exchange is over");
		this.#over(this.#status);
	}

	#upgrade(head: ResponseHead, rest: Buffer | null): void {
		if (!accepts(this.request.head.webSocketKey, head.webSocketAccept))
			return this.#badAnswer("it switches protocols, and nobody asked it to");
		const lease = this.#lease as Lease;
		this.#lease = null;
		this.#state = "over";
		this.#record?.done(101, this.#front.now - this.#startedAt);
		this.#endSpan(101);
		// A URL token that lets somebody in for an hour does so for an hour.
		const endsAt = this.request.caller.tokenEndsAt;
		const until = endsAt === null ? Number.POSITIVE_INFINITY : this.#front.now + endsAt - this.#front.wallNow;
		const splice = new WebSocketSplice(this.#connection, lease, this.#pace, until);
		this.#connection.socket.write(
			`HTTP/1.1 101 Switching Protocols\r\n${head.kept}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`,
			"latin1",
		);
		this.#connection.upgraded(splice, until);
		if (rest !== null) splice.onData(rest);
	}

	#badAnswer(why: string): void {
		this.cancel(ResetCode.protocol, why);
		if (this.request.service.kind === "h2") return this.#refuseWebSocket();
		this.#refuse(502, "bad_answer", `The service's answer is refused: ${why}.`);
	}

	onEnd(): void {
		const answer = this.#answer;
		if (answer?.kind === "close") {
			if (answer.rechunked) this.#connection.socket.write(lastChunk);
			return this.#whole(0);
		}
		if (answer !== null) return this.#connection.cut();
		const lease = this.#lease as Lease;
		lease.link.user = null;
		lease.link.reset(ResetCode.cancelled, "no answer");
		if (this.request.service.kind === "h2") return this.#refuseWebSocket();
		this.#again(lease, "The service closed its connection without an answer.");
	}

	onBroken(code: number, reason: string): void {
		const lease = this.#lease as Lease;
		if (this.#answer !== null) {
			this.#lease = null;
			return this.#connection.cut();
		}
		if (this.request.service.kind === "h2" && code === ResetCode.targetLost) return this.#refuseWebSocket();
		this.#again(lease, brokenBeforeAnswer(lease, code, reason));
	}

	/** What a service of kind `h2` made of the only thing that it is asked as HTTP/1.1. */
	#refuseWebSocket(): void {
		const { name } = this.request.service;
		this.#lease = null;
		this.#refuse(505, "wrong_protocol", `"${name}" took no WebSocket of HTTP/1.1: it may speak HTTP/2 alone.`, true);
	}

	/** Once more with another link, when nothing of a body was consumed and asking twice does no harm. */
	#again(failed: Lease, message: string): void {
		this.#lease = null;
		const { head } = this.request;
		const isHarmless = this.#body.taken === 0 && head.webSocketKey === null && idempotent.has(head.method);
		// Half a head of this answer is no beginning of the next one.
		this.#head = new AnswerHead();
		if (isHarmless && this.#search.mayGoOn) return this.#acquire(failed);
		this.#refuse(502, "service_unreachable", message);
	}

	// ── ends ──

	/** The deadline has passed. */
	expire(): void {
		if (this.#state === "waiting") return this.#connection.destroy();
		if (this.#answer !== null || !this.#body.done) return this.#connection.cut();
		this.cancel(ResetCode.timeout, "no answer in time");
		this.#refuse(504, "service_slow", "The service did not answer in time.", true);
	}

	/** The client's connection ends before the answer does. */
	abandon(reason: string): void {
		this.cancel(ResetCode.cancelled, reason);
		this.#endSpan(null);
	}

	/** Lets go of the link, or of the wait for one. */
	cancel(code: number, reason: string): void {
		this.#state = "over";
		this.#search.cancel();
		const lease = this.#lease;
		this.#lease = null;
		if (lease?.link.user === this) lease.link.reset(code, reason);
	}

	/** Where the answer has begun nothing else can be said: the connection breaks. */
	#refuse(status: number, code: string, message: string, close = false, retryAfterMs = 0): void {
		if (this.#answer !== null) return this.#connection.cut();
		// What is left of a body would be read as the next request.
		this.#connection.writeRefusal(status, code, message, close || !this.#body.done, retryAfterMs);
		this.#over(status);
	}

	#over(status: number): void {
		this.#state = "over";
		this.#record?.done(status, this.#front.now - this.#startedAt);
		this.#endSpan(status);
		this.#connection.finished(this.request.service, status, this.#body.done);
	}

	/** @param status null = it was cut. */
	#endSpan(status: number | null): void {
		const span = this.#span;
		this.#span = null;
		span?.end(requestSpanFacts(this.request, status));
	}
}

function uncork(socket: Socket): void {
	socket.uncork();
}

/** @param status null = it was cut. */
export function requestSpanFacts({ head, service }: AdmittedRequest, status: number | null): SpanFacts {
	return {
		name: `${head.method} service`,
		...(status === null ? {} : { status }),
		attributes: {
			"warren.role": "backbone",
			"warren.service": service.name,
			"http.request.method": head.method,
			...(status === null ? { "error.type": "aborted" } : {}),
		},
	};
}
