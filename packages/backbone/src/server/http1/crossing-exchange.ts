import { STATUS_CODES } from "node:http";
import { type ClientHttp2Stream, constants, type IncomingHttpHeaders } from "node:http2";
import type { Span } from "@warren/kernel";
import { fieldOf } from "../../protocol/field-lines.ts";
import type { Agent } from "../agents/agent.ts";
import { idempotent } from "../broken-link.ts";
import type { Front } from "../front.ts";
import { fieldsOf, linesOfFields } from "../http2/head-lines.ts";
import { answerHeaders, forwardedHeaders, maxInterimAnswers, passedTrailers } from "../http2/headers.ts";
import type { Upstream } from "../http2/upstreams.ts";
import type { Exchange } from "../inspector.ts";
import { Pace } from "../pace.ts";
import type { AdmittedRequest } from "./admission.ts";
import type { ClientConnection } from "./client-connection.ts";
import { requestSpanFacts } from "./http1-exchange.ts";
import { RequestBody } from "./request-body.ts";

const maxTries = 3;

/** How the client learns where an answer ends. */
type Framing = "none" | "length" | "chunked" | "close";

/**
 * One request of HTTP/1.1 at a service that speaks HTTP/2: what chunks carry travels as data, and what comes back is
 * counted or wrapped in chunks. Trailers pass both ways. An answer that was cut is never ended cleanly.
 */
export class CrossingExchange {
	readonly request: AdmittedRequest;
	readonly #connection: ClientConnection;
	readonly #front: Front;
	readonly #body: RequestBody;
	readonly #headers: IncomingHttpHeaders;
	readonly #pace: Pace | null;
	readonly #record: Exchange | null;
	#span: Span | null;
	readonly #startedAt: number;
	#state: "waiting" | "running" | "over" = "waiting";
	#tries = 0;
	#upstream: Upstream | null = null;
	#to: ClientHttp2Stream | null = null;
	#status = 0;
	#framing: Framing | null = null;
	#interims = 0;
	/** Of an answer of known length. */
	#left = 0;
	#trailers: IncomingHttpHeaders = {};

	constructor(connection: ClientConnection, request: AdmittedRequest) {
		const { front, arrival } = connection;
		const { head, service, caller, target, address } = request;
		this.#connection = connection;
		this.#front = front;
		this.request = request;
		this.#body = new RequestBody(head.body, true);
		this.#span = front.tracer?.begin(fieldOf(head.kept, "traceparent")) ?? null;
		const fields = fieldsOf(head.kept);
		fields[":method"] = head.method;
		if (head.cookie !== null) fields.cookie = head.cookie;
		if (head.takesTrailers) fields.te = "trailers";
		if (this.#span !== null) fields["traceparent"] = this.#span.traceparent;
		const forwardedFor =
			head.forwardedFor === null ? arrival.peer : front.forwardedFor(arrival.socket, head.forwardedFor);
		const facts = { target, authority: head.host, forwardedFor, secure: arrival.secure };
		this.#headers = forwardedHeaders(fields, facts, caller);
		this.#pace = Pace.of(front.clock, service.throttle, caller.throttle);
		this.#record =
			service.settings.inspect === true ? front.inspector.begin(service.name, head, target, caller, address) : null;
		this.#startedAt = front.now;
	}

	/** Bytes of the client are wanted now. */
	get takesBody(): boolean {
		return this.#state === "running" && !this.#body.done;
	}

	// ── a connection to the target ──

	start(): void {
		this.#connection.deadline = this.#front.now + this.#front.limits.answerTimeoutMs;
		this.#acquire(null).catch((fault: unknown) => {
			this.#front.fault("a request could not be passed on over HTTP/2", fault);
			this.#connection.cut();
		});
	}

	async #acquire(avoid: Agent | null): Promise<void> {
		const { service } = this.request;
		this.#state = "waiting";
		this.#tries += 1;
		const upstream = await this.#front.upstreams.take(service.name, avoid, this.#span?.traceparent);
		if (this.#state !== "waiting") {
			if (upstream !== null) upstream.streams -= 1;
			return;
		}
		if (upstream === null)
			return this.#refuse(503, "no_agent", `No agent of "${service.name}" can take this now.`, 2000);
		this.#upstream = upstream;
		this.#state = "running";
		this.#connection.deadline = this.#front.now + this.#front.limits.answerTimeoutMs;
		const endStream = this.#body.done;
		const to = upstream.session.request(this.#headers, { endStream, waitForTrailers: !endStream });
		this.#to = to;
		to.on("error", () => {});
		to.on("wantTrailers", () => to.sendTrailers(passedTrailers(fieldsOf(this.#body.trailers))));
		to.on("headers", (interim) => this.#interim(interim[":status"] ?? 100));
		to.on("response", (answer, flags) => this.#begun(to, answer, flags));
		to.on("trailers", (received) => (this.#trailers = passedTrailers(received)));
		to.on("drain", () => {
			if (this.takesBody) this.#connection.socket.resume();
		});
		to.on("close", () => this.#closed(to, upstream));
		if (endStream) return;
		const pending = this.#connection.takePending();
		if (pending !== null) this.fromClient(pending);
		if (this.takesBody && this.#connection.socket.isPaused()) this.#connection.socket.resume();
	}

	// ── the request's body ──

	/** Only while `takesBody`. */
	fromClient(bytes: Buffer): void {
		const used = this.#body.feed(bytes, (piece) => this.#toService(piece));
		if (this.#state !== "running") return;
		if (typeof used === "string") return this.#refuse(400, "bad_request", `The body is refused: ${used}.`);
		const { maxBodyBytes } = this.request.service.settings;
		if (maxBodyBytes !== undefined && this.#body.isChunked && this.#body.taken > maxBodyBytes)
			return this.#refuse(413, "body_too_large", `The body is larger than ${maxBodyBytes} bytes.`);
		this.#connection.deadline = this.#front.now + this.#front.limits.answerTimeoutMs;
		if (!this.#body.done) return;
		this.#to?.end();
		if (used < bytes.length) this.#connection.keep(bytes.subarray(used));
	}

	#toService(piece: Buffer): void {
		const { socket } = this.#connection;
		this.#front.bytesIn += piece.length;
		this.#record?.requestBytes(piece);
		if (this.#to?.write(piece) === false) socket.pause();
		this.#pace?.passed(piece.length, socket, () => {
			if (this.#connection.isOpen) socket.resume();
		});
	}

	// ── the answer ──

	#interim(status: number): void {
		if (
			this.#interims++ >= maxInterimAnswers ||
			this.#framing !== null ||
			this.#state !== "running" ||
			this.request.head.minorVersion === 0
		)
			return;
		this.#connection.socket.write(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n\r\n`, "latin1");
	}

	#begun(to: ClientHttp2Stream, answer: IncomingHttpHeaders & { ":status"?: number | undefined }, flags: number): void {
		if (this.#to !== to || this.#framing !== null) return;
		const { head, swap } = this.request;
		const connection = this.#connection;
		connection.deadline = this.#front.now + this.#front.limits.idleTimeoutMs;
		const status = Number(answer[":status"]);
		const { "content-length": length, ...fields } = answerHeaders(answer, swap !== null);
		const lines = linesOfFields(fields);
		if (lines === null) return this.#badAnswer("a field of its head is not one of HTTP/1.1");
		if (length !== undefined && !/^\d{1,15}$/.test(String(length)))
			return this.#badAnswer("its content-length is not one number");
		const isOver = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
		const bodiless = head.method === "HEAD" || status === 204 || status === 304;
		const counted = length !== undefined && fields["trailer"] === undefined;
		const framing: Framing =
			bodiless || isOver ? "none" : counted ? "length" : head.minorVersion === 1 ? "chunked" : "close";
		this.#status = status;
		this.#framing = framing;
		this.#left = framing === "length" ? Number(length) : 0;
		if (!this.#body.done || head.minorVersion === 0 || this.#front.draining) connection.keepAlive = false;
		const lengthLine =
			framing === "chunked"
				? "transfer-encoding: chunked\r\n"
				: status === 204 || framing === "close"
					? ""
					: length !== undefined && (framing === "length" || bodiless)
						? `content-length: ${String(length)}\r\n`
						: bodiless
							? ""
							: "content-length: 0\r\n";
		// It said that there would be something, and there is nothing.
		if (framing === "none" && !bodiless && Number(length ?? 0) !== 0)
			return this.#badAnswer("it is shorter than its content-length");
		const text = `HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ""}\r\n${lines}${lengthLine}${connection.keepAlive ? "" : "connection: close\r\n"}\r\n`;
		this.#front.bytesOut += text.length;
		connection.socket.write(text, "latin1");
		to.on("data", (chunk: Buffer) => this.#toClient(to, chunk));
		to.on("end", () => this.#ended(to));
	}

	#toClient(to: ClientHttp2Stream, chunk: Buffer): void {
		if (this.#to !== to || this.#framing === "none") return;
		const { socket } = this.#connection;
		this.#front.bytesOut += chunk.length;
		this.#record?.answerBytes(chunk);
		this.#connection.deadline = this.#front.now + this.#front.limits.idleTimeoutMs;
		let flowing = true;
		if (this.#framing === "chunked") {
			if (chunk.length === 0) return;
			socket.cork();
			socket.write(`${chunk.length.toString(16)}\r\n`, "latin1");
			socket.write(chunk);
			flowing = socket.write("\r\n", "latin1");
			socket.uncork();
		} else {
			if (this.#framing === "length") {
				this.#left -= chunk.length;
				if (this.#left < 0) return this.#connection.cut();
			}
			flowing = socket.write(chunk);
		}
		if (!flowing) to.pause();
		this.#pace?.passed(chunk.length, to, () => {
			if (this.#to === to) to.resume();
		});
	}

	clientDrained(): void {
		this.#to?.resume();
	}

	/** All data has come. A stream that was reset ends likewise, and is none of it. */
	#ended(to: ClientHttp2Stream): void {
		if (this.#to !== to) return;
		if (to.rstCode !== constants.NGHTTP2_NO_ERROR || to.aborted || this.#left !== 0) return this.#connection.cut();
		const { socket } = this.#connection;
		if (this.#framing === "chunked") {
			const trailers = linesOfFields(this.#trailers);
			if (trailers === null) return this.#connection.cut();
			socket.write(`0\r\n${trailers}\r\n`, "latin1");
		}
		if (this.#upstream !== null) this.#upstream.agent.refusals = 0;
		this.#letGo(constants.NGHTTP2_NO_ERROR);
		this.#over(this.#status);
	}

	#badAnswer(why: string): void {
		this.#refuse(502, "bad_answer", `The service's answer is refused: ${why}.`);
	}

	/** The target's stream is closed before its answer was whole. Asked again where that does no harm. */
	#closed(to: ClientHttp2Stream, upstream: Upstream): void {
		if (this.#to !== to || this.#state !== "running") return;
		const { rstCode } = to;
		if (this.#framing !== null) return this.#connection.cut();
		this.#letGo(constants.NGHTTP2_CANCEL);
		const { head } = this.request;
		const harmless = idempotent.has(head.method) || rstCode === constants.NGHTTP2_REFUSED_STREAM;
		if (harmless && head.body.kind === "none" && this.#tries < maxTries) {
			this.#acquire(upstream.agent).catch(() => this.#connection.cut());
			return;
		}
		this.#refuse(502, "service_unreachable", "The service was lost before it answered.");
	}

	// ── ends ──

	/** The deadline has passed. */
	expire(): void {
		if (this.#framing !== null || !this.#body.done) return this.#connection.cut();
		this.#refuse(504, "service_slow", "The service did not answer in time.");
	}

	/** The client's connection ends before the answer does. */
	abandon(_reason: string): void {
		this.#state = "over";
		this.#letGo(constants.NGHTTP2_CANCEL);
		this.#endSpan(null);
	}

	#letGo(code: number): void {
		const to = this.#to;
		if (this.#upstream !== null) this.#upstream.streams -= 1;
		this.#upstream = null;
		this.#to = null;
		if (to !== null && !to.destroyed) to.close(code);
	}

	/** Where the answer has begun nothing else can be said: the connection breaks. */
	#refuse(status: number, code: string, message: string, retryAfterMs = 0): void {
		if (this.#framing !== null) return this.#connection.cut();
		this.#letGo(constants.NGHTTP2_CANCEL);
		// What is left of a body would be read as the next request.
		this.#connection.writeRefusal(status, code, message, !this.#body.done || this.#body.taken > 0, retryAfterMs);
		this.#over(status);
	}

	#over(status: number): void {
		this.#state = "over";
		this.#record?.done(status, this.#front.now - this.#startedAt);
		this.#endSpan(status);
		this.#connection.finished(this.request.service, status, this.#body.done);
	}

	#endSpan(status: number | null): void {
		const span = this.#span;
		this.#span = null;
		span?.end(requestSpanFacts(this.request, status));
	}
}
