import { constants, type ServerHttp2Stream } from "node:http2";
import type { Span } from "@warren/kernel";
import { fieldOf } from "../../protocol/field-lines.ts";
import { ResetCode } from "../../protocol/frames.ts";
import type { ResponseHead } from "../../protocol/response-head.ts";
import type { StreamUser } from "../../tunnel/link.ts";
import type { Lease } from "../agents/agent.ts";
import { brokenBeforeAnswer, idempotent } from "../broken-link.ts";
import type { Front } from "../front.ts";
import type { AdmittedRequest } from "../http1/admission.ts";
import { AnswerBody } from "../http1/answer-body.ts";
import { AnswerHead } from "../http1/answer-head.ts";
import type { Arrival } from "../http1/arrival.ts";
import { forwardedHead } from "../http1/forwarded-head.ts";
import { LinkSearch } from "../http1/link-search.ts";
import type { Exchange } from "../inspector.ts";
import { Pace } from "../pace.ts";
import { fieldsOf, linesOfFields } from "./head-lines.ts";
import { answerHeaders, maxInterimAnswers, passedTrailers } from "./headers.ts";
import type { ArrivedTrailers } from "./http2-session.ts";
import { refuseStream } from "./refuse-stream.ts";
import { spanFacts } from "./stream-facts.ts";

export interface CrossingRequest extends AdmittedRequest {
	readonly stream: ServerHttp2Stream;
	readonly arrival: Arrival;
	/** What came after its body; complete once the body has ended. */
	readonly arrived: ArrivedTrailers;
}

export interface CrossingStreamDeps {
	readonly front: Front;
	readonly over: () => void;
}

/**
 * One request of HTTP/2 at a service that speaks HTTP/1.1: bodies are wrapped in chunks or counted on the way there,
 * and unwrapped on the way back. Trailers pass both ways where the other version can say them.
 *
 *   waiting ──link──► running ──answer whole, refused, broken, cut──► over
 *      ▲                 │
 *      └──another link───┘
 */
export class CrossingStream implements StreamUser {
	readonly request: CrossingRequest;
	readonly #deps: CrossingStreamDeps;
	readonly #forwarded: string;
	readonly #search: LinkSearch;
	readonly #pace: Pace | null;
	readonly #record: Exchange | null;
	readonly #span: Span | null;
	readonly #startedAt: number;
	#state: "waiting" | "running" | "over" = "waiting";
	#lease: Lease | null = null;
	#head = new AnswerHead();
	#answer: AnswerBody | null = null;
	#interims = 0;
	#reusable = false;
	#status = 0;
	/** Of the request's body. */
	#received = 0;
	#bodyDone: boolean;
	/** As the front's clock; by when something must have moved. */
	deadline: number;

	constructor(deps: CrossingStreamDeps, request: CrossingRequest) {
		const { front } = deps;
		const { stream, head, service, caller, arrival } = request;
		this.#deps = deps;
		this.request = request;
		this.#startedAt = front.now;
		this.deadline = front.now + front.limits.answerTimeoutMs;
		this.#search = new LinkSearch(front.pool, service.name, (lease) => this.#found(lease));
		const span = front.tracer?.begin(fieldOf(head.kept, "traceparent")) ?? null;
		this.#span = span;
		if (span !== null) stream.once("close", () => span.end(spanFacts(stream, head.method, service.name)));
		this.#forwarded = forwardedHead(front, arrival, request, span);
		this.#pace = Pace.of(front.clock, service.throttle, caller.throttle);
		this.#record =
			service.settings.inspect === true
				? front.inspector.begin(service.name, head, request.target, caller, request.address)
				: null;
		this.#bodyDone = stream.endAfterHeaders;
		stream.on("data", (chunk: Buffer) => this.#toService(chunk));
		stream.on("end", () => this.#bodyEnded());
		stream.on("drain", () => this.#lease?.link.resume());
		stream.on("wantTrailers", () => stream.sendTrailers(passedTrailers(fieldsOf(this.#answer?.trailers ?? ""))));
		// One that was reset without an error closes only once what is unread of it was read, and takes no answer before.
		stream.on("aborted", () => {
			this.#finish("the client's stream is over");
			stream.resume();
		});
		stream.on("close", () => this.#finish("the client's stream is over"));
		stream.pause();
	}

	start(avoid: Lease | null = null): void {
		this.#state = "waiting";
		this.#search.start(avoid?.agent ?? null);
	}

	#found(lease: Lease | null): void {
		if (this.#state !== "waiting") return;
		if (lease === null)
			return this.#refuse(503, "no_agent", `No agent of "${this.request.service.name}" can take this now.`, 2000);
		const { link } = lease;
		this.#lease = lease;
		this.#state = "running";
		if (lease.warm) link.user = this;
		else link.open({ kind: "http", ...(this.#span === null ? {} : { traceparent: this.#span.traceparent }) }, this);
		link.writeText(this.#forwarded);
		const { body } = this.request.head;
		if (body.kind === "length") link.announce(body.bytes);
		this.request.stream.resume();
	}

	// ── the request's body ──

	#toService(chunk: Buffer): void {
		const { front } = this.#deps;
		const { service, stream, head } = this.request;
		const link = this.#lease?.link;
		if (this.#state !== "running" || link === undefined) return;
		this.#received += chunk.length;
		front.bytesIn += chunk.length;
		const { maxBodyBytes } = service.settings;
		if (maxBodyBytes !== undefined && this.#received > maxBodyBytes)
			return this.#refuse(413, "body_too_large", `The body is larger than ${maxBodyBytes} bytes.`);
		const { body } = head;
		if (body.kind !== "chunked" && this.#received > (body.kind === "length" ? body.bytes : 0))
			return this.#refuse(400, "bad_request", "The body is longer than its content-length.");
		this.#record?.requestBytes(chunk);
		this.deadline = front.now + front.limits.answerTimeoutMs;
		let flowing = true;
		if (body.kind === "chunked") {
			// An empty chunk would be the last one.
			if (chunk.length === 0) return;
			link.channel.cork();
			link.writeText(`${chunk.length.toString(16)}\r\n`);
			link.write(chunk);
			flowing = link.writeText("\r\n");
			link.channel.uncork();
		} else flowing = link.write(chunk);
		if (!flowing) stream.pause();
		this.#pace?.passed(chunk.length, stream, () => {
			if (this.#state === "running") stream.resume();
		});
	}

	/** Also where the client broke the stream off: that is no end, and nothing of it may look like one. */
	#bodyEnded(): void {
		const { stream, head, arrived } = this.request;
		if (this.#bodyDone || this.#state !== "running" || stream.aborted || stream.rstCode !== 0) return;
		if (head.body.kind === "length" && this.#received !== head.body.bytes)
			return this.#refuse(400, "bad_request", "The body is shorter than its content-length.");
		this.#bodyDone = true;
		if (head.body.kind !== "chunked") return;
		const trailers = linesOfFields(passedTrailers(arrived.trailers));
		if (trailers === null) return this.#refuse(400, "bad_request", "A trailer is not one of HTTP/1.1.");
		this.#lease?.link.writeText(`0\r\n${trailers}\r\n`);
	}

	onDrain(): void {
		this.request.stream.resume();
	}

	// ── the answer ──

	onData(piece: Buffer): void {
		const { front } = this.#deps;
		this.deadline = front.now + front.limits.idleTimeoutMs;
		if (this.#answer !== null) return this.#feed(this.#answer, piece);
		let bytes: Buffer | null = piece;
		while (bytes !== null) {
			const whole = this.#head.feed(bytes, this.request.head.method);
			if (whole === null) return;
			if (typeof whole === "string") return this.#badAnswer(whole);
			const { head, rest } = whole;
			if (head.status === 101) return this.#badAnswer("it switches protocols, and nobody asked it to");
			if (head.status >= 200) return this.#begun(head, rest);
			const { stream } = this.request;
			if (!stream.closed && this.#interims++ < maxInterimAnswers) stream.additionalHeaders({ ":status": head.status });
			bytes = rest;
		}
	}

	#begun(head: ResponseHead, rest: Buffer | null): void {
		const { stream, swap } = this.request;
		if (stream.closed) return this.#finish("the client's stream is over");
		const answer = new AnswerBody(head.body, 2);
		this.#answer = answer;
		if (head.body.kind === "length") this.#lease?.link.expect(head.body.bytes);
		this.#status = head.status;
		this.#reusable = head.reusable;
		const fields = answerHeaders(fieldsOf(head.kept), swap !== null);
		stream.respond(
			{ ...fields, ":status": head.status },
			{ endStream: answer.done, waitForTrailers: answer.kind === "chunked" },
		);
		if (answer.done) return this.#whole(rest?.length ?? 0);
		if (rest !== null) this.#feed(answer, rest);
	}

	#feed(answer: AnswerBody, bytes: Buffer): void {
		const used = answer.feed(bytes, (piece) => this.#toClient(piece));
		if (typeof used === "string") return this.cut();
		if (answer.done && this.#state === "running") this.#whole(bytes.length - used);
	}

	#toClient(piece: Buffer): void {
		const { front } = this.#deps;
		const { stream } = this.request;
		const link = this.#lease?.link;
		if (stream.destroyed || link === undefined) return;
		front.bytesOut += piece.length;
		this.#record?.answerBytes(piece);
		if (!stream.write(piece)) link.pause();
		const waitMs = this.#pace?.passed(piece.length, link, () => {
			// The link may be another request's by then.
			if (link === this.#lease?.link) link.resume();
		});
		if (waitMs !== undefined && waitMs > 0) this.deadline = front.now + waitMs + front.limits.idleTimeoutMs;
	}

	/** The answer is whole. @param extra bytes that came after its end: nobody asked for them. */
	#whole(extra: number): void {
		const { stream } = this.request;
		const { link, agent } = this.#lease as Lease;
		this.#lease = null;
		agent.refusals = 0;
		link.user = null;
		if (this.#reusable && extra === 0 && this.#bodyDone && link.isOpen) {
			if (link.channel.isPaused()) link.resume();
			agent.park(link);
		} else link.reset(ResetCode.cancelled, "the exchange is over");
		// What is left of a request's body is read by nobody: the client is told to stop.
		if (!this.#bodyDone) stream.once("finish", () => stream.close(constants.NGHTTP2_NO_ERROR));
		if (!stream.writableEnded) stream.end();
		this.#over();
	}

	#badAnswer(why: string): void {
		this.#refuse(502, "bad_answer", `The service's answer is refused: ${why}.`);
	}

	onEnd(): void {
		if (this.#answer?.kind === "close") return this.#whole(0);
		if (this.#answer !== null) return this.cut(constants.NGHTTP2_INTERNAL_ERROR);
		const lease = this.#lease as Lease;
		lease.link.user = null;
		lease.link.reset(ResetCode.cancelled, "no answer");
		this.#again(lease, "The service closed its connection without an answer.");
	}

	onBroken(code: number, reason: string): void {
		const lease = this.#lease as Lease;
		if (this.#answer !== null) return this.cut(constants.NGHTTP2_INTERNAL_ERROR);
		this.#again(lease, brokenBeforeAnswer(lease, code, reason));
	}

	/** Once more with another link, when nothing of a body was consumed and asking twice does no harm. */
	#again(failed: Lease, message: string): void {
		this.#lease = null;
		const { stream, head } = this.request;
		// Half a head of this answer is no beginning of the next one.
		this.#head = new AnswerHead();
		if (stream.endAfterHeaders && idempotent.has(head.method) && this.#search.mayGoOn) return this.start(failed);
		this.#refuse(502, "service_unreachable", message);
	}

	// ── ends ──

	/** The deadline has passed. */
	expire(): void {
		if (this.#answer !== null || this.#status !== 0) return this.cut();
		this.#refuse(504, "service_slow", "The service did not answer in time.");
	}

	/** No clean end: whatever was on its way is seen to be cut. */
	cut(code: number = constants.NGHTTP2_CANCEL): void {
		const { stream } = this.request;
		if (!stream.destroyed) stream.close(code);
		this.#finish("it was cut");
	}

	#refuse(status: number, code: string, message: string, retryAfterMs = 0): void {
		if (this.#answer !== null) return this.cut();
		this.#status = status;
		this.#letGo(message);
		refuseStream(this.request.stream, status, code, message, retryAfterMs);
		this.#over();
	}

	#finish(reason: string): void {
		if (this.#state === "over") return;
		this.#letGo(reason);
		this.#over();
	}

	#letGo(reason: string): void {
		this.#search.cancel();
		const lease = this.#lease;
		this.#lease = null;
		if (lease?.link.user === this) lease.link.reset(ResetCode.cancelled, reason);
	}

	#over(): void {
		if (this.#state === "over") return;
		this.#state = "over";
		const { front } = this.#deps;
		front.finished(this.request.service, this.#status);
		this.#record?.done(this.#status, front.now - this.#startedAt);
		this.#deps.over();
	}
}
