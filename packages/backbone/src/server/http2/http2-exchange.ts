import { type ClientHttp2Stream, constants, type IncomingHttpHeaders, type ServerHttp2Stream } from "node:http2";
import type { Caller } from "../../identity/callers.ts";
import type { Agent } from "../agents/agent.ts";
import { idempotent } from "../broken-link.ts";
import type { Front } from "../front.ts";
import type { Exchange } from "../inspector.ts";
import type { ActiveService } from "../services.ts";
import { answerHeaders, maxInterimAnswers, passedTrailers } from "./headers.ts";
import type { ArrivedTrailers } from "./http2-session.ts";
import { refuseStream } from "./refuse-stream.ts";
import type { Upstream } from "./upstreams.ts";

export interface Http2Request {
	readonly stream: ServerHttp2Stream;
	readonly service: ActiveService;
	readonly caller: Caller;
	readonly address: string;
	/** As the target gets them. */
	readonly headers: IncomingHttpHeaders;
	/** What came after its body; complete once the body has ended. */
	readonly arrived: ArrivedTrailers;
	/** It came with a URL token: its pages name no address to others. */
	readonly afterUrlToken: boolean;
	readonly exchange: Exchange | null;
}

export interface Http2ExchangeDeps {
	readonly front: Front;
	/** Counted already; null = none has room. */
	readonly take: (avoid: Agent | null) => Promise<Upstream | null>;
	readonly over: (exchange: Http2Exchange) => void;
}

const maxTries = 3;

/**
 * One request over HTTP/2, passed on as it comes, both ways, trailers included. An answer that was cut is never ended
 * cleanly.
 */
export class Http2Exchange {
	readonly request: Http2Request;
	readonly #deps: Http2ExchangeDeps;
	readonly #startedAt: number;
	#to: ClientHttp2Stream | null = null;
	#upstream: Upstream | null = null;
	#status = 0;
	#tries = 0;
	#interims = 0;
	#received = 0;
	#answerTrailers: IncomingHttpHeaders = {};
	#over = false;
	/** As the front's clock; by when something must have moved. */
	deadline: number;

	constructor(deps: Http2ExchangeDeps, request: Http2Request) {
		this.#deps = deps;
		this.request = request;
		this.#startedAt = deps.front.now;
		this.deadline = this.#startedAt + deps.front.limits.answerTimeoutMs;
		const { stream } = request;
		stream.on("data", (chunk: Buffer) => this.#toService(chunk));
		stream.on("end", () => {
			// A stream that the client breaks off ends, too; the service must not take it for whole.
			if (!stream.aborted && stream.rstCode === constants.NGHTTP2_NO_ERROR) this.#to?.end();
		});
		stream.on("drain", () => this.#to?.resume());
		stream.on("wantTrailers", () => {
			stream.sendTrailers(this.#answerTrailers);
		});
		// One that was reset without an error closes only once what is unread of it was read, and takes no answer before.
		stream.on("aborted", () => {
			this.#finish(constants.NGHTTP2_CANCEL);
			stream.resume();
		});
		stream.on("close", () => this.#finish(constants.NGHTTP2_CANCEL));
		// Until somebody takes it.
		stream.pause();
	}

	/** @param avoid the agent that has just failed. */
	async start(avoid: Agent | null = null): Promise<void> {
		const { service, stream } = this.request;
		this.#tries += 1;
		const upstream = await this.#deps.take(avoid);
		if (this.#over) {
			if (upstream !== null) upstream.streams -= 1;
			return;
		}
		if (upstream === null) {
			this.#refuse(503, "no_agent", `No agent of "${service.name}" can take this now.`, 2000);
			return;
		}
		this.#upstream = upstream;
		const to = upstream.session.request(this.request.headers, {
			endStream: stream.endAfterHeaders,
			waitForTrailers: !stream.endAfterHeaders,
		});
		this.#to = to;
		to.on("error", () => {});
		to.on("wantTrailers", () => to.sendTrailers(passedTrailers(this.request.arrived.trailers)));
		to.on("headers", (interim) => {
			if (!stream.closed && !stream.headersSent && this.#interims++ < maxInterimAnswers)
				stream.additionalHeaders({ ":status": interim[":status"] ?? 100 });
		});
		to.on("response", (answer, flags) => this.#answer(to, answer, flags));
		to.on("trailers", (received) => {
			this.#answerTrailers = passedTrailers(received);
		});
		to.on("drain", () => stream.resume());
		to.on("close", () => this.#lost(to, upstream));
		stream.resume();
	}

	/** The deadline has passed. */
	expire(): void {
		if (this.#status !== 0) return this.cut();
		this.#refuse(504, "service_slow", "The service did not answer in time.");
	}

	/** No clean end: whatever was on its way is seen to be cut. */
	cut(): void {
		const { stream } = this.request;
		if (!stream.destroyed) stream.close(constants.NGHTTP2_CANCEL);
		this.#finish(constants.NGHTTP2_CANCEL);
	}

	#toService(chunk: Buffer): void {
		const { front } = this.#deps;
		const { service, stream, exchange } = this.request;
		this.#received += chunk.length;
		front.bytesIn += chunk.length;
		const { maxBodyBytes } = service.settings;
		if (maxBodyBytes !== undefined && this.#received > maxBodyBytes) {
			if (this.#status !== 0) return this.cut();
			return this.#refuse(413, "body_too_large", `The body is larger than ${maxBodyBytes} bytes.`);
		}
		exchange?.requestBytes(chunk);
		this.deadline = front.now + front.limits.answerTimeoutMs;
		if (this.#to?.write(chunk) === false) stream.pause();
		this.#slowDown(chunk.length, stream);
	}

	#answer(
		to: ClientHttp2Stream,
		answer: IncomingHttpHeaders & { ":status"?: number | undefined },
		flags: number,
	): void {
		const { stream, afterUrlToken } = this.request;
		if (stream.closed || stream.headersSent) return;
		const { front } = this.#deps;
		this.#status = Number(answer[":status"]);
		this.deadline = front.now + front.limits.idleTimeoutMs;
		const endStream = (flags & constants.NGHTTP2_FLAG_END_STREAM) !== 0;
		stream.respond(answerHeaders(answer, afterUrlToken), { endStream, waitForTrailers: !endStream });
		if (endStream) return;
		// Not before: a first write would send a head of its own.
		to.on("data", (chunk: Buffer) => this.#toClient(chunk));
		to.on("end", () => {
			if (!stream.writableEnded && to.rstCode === constants.NGHTTP2_NO_ERROR) stream.end();
		});
	}

	#toClient(chunk: Buffer): void {
		const { front } = this.#deps;
		const { stream, exchange } = this.request;
		if (stream.destroyed) return;
		front.bytesOut += chunk.length;
		exchange?.answerBytes(chunk);
		this.deadline = front.now + front.limits.idleTimeoutMs;
		const to = this.#to as ClientHttp2Stream;
		if (!stream.write(chunk)) to.pause();
		this.#slowDown(chunk.length, to);
	}

	/** Bandwidth limits: what passed is waited for by whoever sent it. */
	#slowDown(bytes: number, source: { pause(): void; resume(): void }): void {
		const { service, caller } = this.request;
		if (service.throttle === null && caller.throttle === null) return;
		const { front } = this.#deps;
		const now = front.clock.monotonic();
		const waitMs = Math.max(service.throttle?.passed(bytes, now) ?? 0, caller.throttle?.passed(bytes, now) ?? 0);
		if (waitMs === 0) return;
		source.pause();
		this.deadline = Math.max(this.deadline, front.now + waitMs + front.limits.idleTimeoutMs);
		front.clock.after(waitMs, () => {
			if (!this.#over) source.resume();
		});
	}

	/** The target's stream is closed. Whole, or not: asked again where that does no harm. */
	#lost(to: ClientHttp2Stream, upstream: Upstream): void {
		if (this.#to !== to) return;
		const { stream, headers } = this.request;
		const whole = to.rstCode === constants.NGHTTP2_NO_ERROR && this.#status !== 0;
		if (whole) {
			upstream.agent.refusals = 0;
			return this.#release();
		}
		if (this.#over || stream.destroyed) return this.#release();
		if (this.#status !== 0) {
			stream.close(to.rstCode === constants.NGHTTP2_NO_ERROR ? constants.NGHTTP2_INTERNAL_ERROR : to.rstCode);
			return this.#release();
		}
		this.#release();
		// A target that refuses a stream has done nothing with it (RFC 9113 §8.7).
		const harmless = idempotent.has(headers[":method"] ?? "") || to.rstCode === constants.NGHTTP2_REFUSED_STREAM;
		if (harmless && stream.endAfterHeaders && this.#tries < maxTries) {
			this.start(upstream.agent).catch(() => this.cut());
			return;
		}
		this.#refuse(502, "service_unreachable", "The service was lost before it answered.");
	}

	#refuse(status: number, code: string, message: string, retryAfterMs = 0): void {
		this.#status = status;
		refuseStream(this.request.stream, status, code, message, retryAfterMs);
		this.#finish(constants.NGHTTP2_CANCEL);
	}

	#release(): void {
		if (this.#upstream !== null) this.#upstream.streams -= 1;
		this.#upstream = null;
		this.#to = null;
	}

	#finish(code: number): void {
		if (this.#over) return;
		this.#over = true;
		const to = this.#to;
		this.#release();
		if (to !== null && !to.destroyed)
			to.close(this.request.stream.rstCode === 0 && this.#status !== 0 ? constants.NGHTTP2_NO_ERROR : code);
		const { front } = this.#deps;
		front.finished(this.request.service, this.#status);
		this.request.exchange?.done(this.#status, front.now - this.#startedAt);
		this.#deps.over(this);
	}
}
