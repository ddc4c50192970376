import { constants } from "node:http2";
import type { Socket } from "node:net";
import { type Closeable, type Logger, messageOf, type Timer } from "@warren/kernel";
import { agentHeader, agentNameHeader, tunnelPath } from "../../protocol/endpoint.ts";
import { isMethod, isTarget, parseRequestHead } from "../../protocol/request-head.ts";
import { type Front, type Running, runningOf } from "../front.ts";
import { type AdmittedRequest, admit } from "../http1/admission.ts";
import { type Arrival, arrivalOf } from "../http1/arrival.ts";
import { headRefusalCode } from "../refusals.ts";
import { RunningSet } from "../running-set.ts";
import type { TunnelEndpoint } from "../tunnel-endpoint.ts";
import { CrossingStream } from "./crossing-stream.ts";
import { headText } from "./head-lines.ts";
import { forwardedHeaders, single } from "./headers.ts";
import { Http2Exchange } from "./http2-exchange.ts";
import { type ArrivedStream, Http2Session } from "./http2-session.ts";
import { answerStream, refuseStream } from "./refuse-stream.ts";
import { spanFacts } from "./stream-facts.ts";

export interface Http2FrontDeps {
	readonly front: () => Front;
	readonly endpoint: TunnelEndpoint;
	readonly logger: Logger;
}

/** HTTP/2 on the public side: agents that dial out over it, and clients of services of either version, trailers included. */
export class Http2Front implements Closeable {
	readonly #deps: Http2FrontDeps;
	readonly #sessions = new Set<Http2Session>();
	readonly #running = new RunningSet<Http2Exchange | CrossingStream>();
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
		const session: Http2Session = new Http2Session(
			this.#deps.front(),
			socket,
			pinned,
			(arrived) => {
				this.#stream(session, arrived).catch((fault: unknown) => {
					this.#deps.logger.warn("an HTTP/2 request failed", { fault: messageOf(fault) });
					if (!arrived.stream.destroyed) arrived.stream.close(constants.NGHTTP2_INTERNAL_ERROR);
				});
			},
			() => this.#sessions.delete(session),
		);
		this.#sessions.add(session);
		if (this.#sweep === null) this.#armSweep();
	}

	/** What runs now. */
	*running(): Iterable<Running> {
		for (const exchange of this.#running) yield runningOf(exchange.request);
	}

	/** Cuts what runs on behalf of somebody, or towards a service. */
	disconnect(matches: (running: Running) => boolean): void {
		for (const exchange of [...this.#running]) if (matches(runningOf(exchange.request))) exchange.cut();
	}

	/** Says that it will stop; streams finish. @param port of the connections that this is about; all unless told. */
	drain(port?: number): void {
		for (const session of this.#sessions) if (port === undefined || session.socket.localPort === port) session.drain();
	}

	/** Lets streams finish for as long as the front drains, then cuts what is left. */
	async close(): Promise<void> {
		const { clock, limits } = this.#deps.front();
		await this.#running.empty(clock, limits.drainMs);
		this.#sweep?.cancel();
		for (const session of this.#sessions) session.destroy();
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

	/** A request is judged as what it would be in HTTP/1.1, by the same rules, whatever its service speaks. */
	async #stream(session: Http2Session, request: ArrivedStream): Promise<void> {
		const { stream, headers, raw } = request;
		const front = this.#deps.front();
		if (headers.host !== undefined && headers[":authority"] !== undefined && headers.host !== headers[":authority"])
			return refuseStream(stream, 400, "bad_request", "Host is not :authority.");
		if (!isMethod(headers[":method"] ?? "") || !isTarget(headers[":path"] ?? ""))
			return refuseStream(stream, 400, "bad_request", "The method or the path is not one of HTTP.");
		const text = headText(raw, stream.endAfterHeaders);
		const head = text === null ? null : parseRequestHead(text);
		if (head === null) return refuseStream(stream, 400, "bad_request", "A field of the head is not one of HTTP/1.1.");
		if ("refused" in head) return refuseStream(stream, head.status, headRefusalCode(head.status), head.message);
		const arrival = arrivalOf(front, session.socket, session.pinned);
		const admission = await admit(front, arrival, head);
		if (stream.closed) return;
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
				if (head.method === "POST" && head.target === tunnelPath) return this.#tunnel(session, request);
				// The API speaks HTTP/1.1.
				return stream.close(constants.NGHTTP2_HTTP_1_1_REQUIRED);
			case "admitted":
				session.admit();
				return admission.service.kind === "h2"
					? this.#pass(request, admission, arrival)
					: this.#cross(request, admission, arrival);
		}
	}

	/** To a service that speaks HTTP/2, too. */
	#pass({ stream, headers, arrived }: ArrivedStream, admission: AdmittedRequest, arrival: Arrival): void {
		const { head, service, caller, target, address, swap } = admission;
		const front = this.#deps.front();
		const { secure } = arrival;
		const forwardedFor = front.forwardedFor(arrival.socket, head.forwardedFor);
		const forwarded = forwardedHeaders(headers, { target, authority: head.host, forwardedFor, secure }, caller);
		const span = front.tracer?.begin(single(headers["traceparent"]) ?? undefined);
		if (span !== undefined) {
			forwarded["traceparent"] = span.traceparent;
			stream.once("close", () => span.end(spanFacts(stream, head.method, service.name)));
		}
		const inspected = service.settings.inspect === true;
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
				afterUrlToken: swap !== null,
				exchange: inspected ? front.inspector.begin(service.name, head, target, caller, address) : null,
			},
		);
		this.#running.add(exchange);
		exchange.start().catch((fault: unknown) => {
			front.fault("an HTTP/2 request could not be passed on", fault);
			exchange.cut();
		});
	}

	/** To a service that speaks HTTP/1.1. */
	#cross({ stream, arrived }: ArrivedStream, admission: AdmittedRequest, arrival: Arrival): void {
		const exchange: CrossingStream = new CrossingStream(
			{ front: this.#deps.front(), over: () => this.#running.delete(exchange) },
			{ ...admission, stream, arrival, arrived },
		);
		this.#running.add(exchange);
		exchange.start();
	}

	async #tunnel(session: Http2Session, { stream, headers }: ArrivedStream): Promise<void> {
		const facts = {
			authorization: single(headers.authorization),
			agent: single(headers[agentHeader]),
			name: single(headers[agentNameHeader]),
			address: this.#deps.front().addressOf(session.socket),
			transport: "http2",
		} as const;
		const { endpoint } = this.#deps;
		const admission = await endpoint.admit(facts);
		if (stream.closed) return;
		if (!admission.ok)
			return refuseStream(stream, admission.status, admission.code, admission.message, admission.retryAfterMs);
		session.admitAgent();
		stream.respond({ ":status": 200, "content-type": "application/octet-stream" });
		await endpoint.park(stream, admission, facts);
		stream.on("data", (bytes: Buffer) => session.widen(bytes.length));
	}
}
