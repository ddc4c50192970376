import { AsyncLocalStorage } from "node:async_hooks";
import type { IncomingMessage, ServerResponse } from "node:http";
import type { Span, Tracer } from "@warren/kernel";

const ambient = new AsyncLocalStorage<string>();

/** `traceparent` of the request that is being served, for what is asked of others on its behalf; undefined without a tracer. */
export function currentTraceparent(): string | undefined {
	return ambient.getStore();
}

/** A request as one span of its trace. Whoever passes its headers on passes this span on as their parent. */
export class RequestSpan {
	/** Its pattern, once it is known. */
	route: string | null = null;
	readonly #span: Span;
	readonly #method: string;
	readonly #role: string;

	constructor(tracer: Tracer, incoming: IncomingMessage, method: string, role: string) {
		const { traceparent } = incoming.headers;
		this.#span = tracer.begin(typeof traceparent === "string" ? traceparent : undefined);
		incoming.headers["traceparent"] = this.#span.traceparent;
		this.#method = known.has(method) ? method : "_OTHER";
		this.#role = role;
	}

	/** Runs what serves it. */
	within<T>(work: () => T): T {
		return ambient.run(this.#span.traceparent, work);
	}

	end(status: number | null, aborted = false): void {
		this.#span.end({
			name: this.route === null ? this.#method : `${this.#method} ${this.route}`,
			...(status === null ? {} : { status }),
			attributes: {
				"warren.role": this.#role,
				...(this.#method === "WS"
					? { "http.request.method": "GET", "network.protocol.name": "websocket" }
					: { "http.request.method": this.#method }),
				...(this.route === null ? {} : { "http.route": this.route }),
				...(aborted ? { "error.type": "aborted" } : {}),
			},
		});
	}

	/** Ends it with its answer, or with its being cut. */
	endWith(outgoing: ServerResponse): void {
		outgoing.once("close", () =>
			this.end(outgoing.headersSent ? outgoing.statusCode : null, !outgoing.writableFinished),
		);
	}
}

/** Others are whatever somebody typed. */
const known = new Set(["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "WS"]);
