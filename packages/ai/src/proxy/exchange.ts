import type { IncomingHttpHeaders, ServerResponse } from "node:http";
import { type Clock, messageOf, type Timer, type WarrenError } from "@warren/kernel";
import type { Dispatcher } from "undici";
import { aiError } from "../errors.ts";
import { aiLimits } from "../limits.ts";
import type { Provider } from "../providers/provider-table.ts";
import { headTimeoutCode } from "../upstream/upstream.ts";
import { UsageReader } from "../usage/usage-reader.ts";
import { downstreamHeaders } from "./headers.ts";

/** How one try ended. After `retry` and `failed` nothing was written to the client. */
export type ExchangeEnd =
	| { readonly kind: "answered"; readonly status: number; readonly complete: boolean; readonly usage: UsageReader }
	| { readonly kind: "retry"; readonly status: number; readonly headers: IncomingHttpHeaders }
	| { readonly kind: "failed"; readonly error: WarrenError }
	/** The client left before an answer began: the provider was asked, and counts what it was sent. */
	| { readonly kind: "left"; readonly usage: UsageReader }
	| { readonly kind: "unasked" };

export interface ExchangeOptions {
	readonly provider: Provider;
	readonly origin: string;
	readonly requestBytes: number;
	/** Statuses that the caller would rather try again than pass on. */
	readonly retryable: (status: number, headers: IncomingHttpHeaders) => boolean;
}

/**
 * One answer from a provider to a client, byte for byte: what the client does not take is not read, a client that leaves
 * closes the provider's connection, a provider that dies in the middle breaks off the client's answer.
 *
 *   waiting ── head ──► passing ── end ──► done
 *      │ fault             │ fault: the client's socket is cut
 *      ▼                   ▼
 *    failed              done (incomplete)
 */
export class Exchange implements Dispatcher.DispatchHandler {
	readonly #outgoing: ServerResponse;
	readonly #clock: Clock;
	readonly #options: ExchangeOptions;
	readonly #done: (end: ExchangeEnd) => void;
	#controller: Dispatcher.DispatchController | null = null;
	#usage: UsageReader | null = null;
	#status = 0;
	#ended = false;
	#stall: Timer | null = null;
	readonly #onClose = () => this.#clientLeft();
	readonly #onDrain = () => this.#resume();

	constructor(outgoing: ServerResponse, clock: Clock, options: ExchangeOptions, done: (end: ExchangeEnd) => void) {
		this.#outgoing = outgoing;
		this.#clock = clock;
		this.#options = options;
		this.#done = done;
		outgoing.on("close", this.#onClose);
	}

	onRequestStart(controller: Dispatcher.DispatchController): void {
		this.#controller = controller;
		if (this.#ended || this.#outgoing.destroyed) controller.abort(new Error("the client left"));
	}

	onResponseStart(controller: Dispatcher.DispatchController, status: number, headers: IncomingHttpHeaders): void {
		if (status < 200 || this.#ended) return;
		const { provider } = this.#options;
		if (status >= 300 && status < 400) {
			const error = aiError(
				"provider_redirected",
				`${provider.name} answered with a redirect (${status}), which is not followed.`,
			);
			this.#finish({ kind: "failed", error });
			controller.abort(error);
			return;
		}
		if (this.#options.retryable(status, headers)) {
			this.#finish({ kind: "retry", status, headers });
			controller.abort(new Error("tried again"));
			return;
		}
		this.#status = status;
		this.#usage = new UsageReader(
			String(headers["content-type"] ?? ""),
			String(headers["content-encoding"] ?? ""),
			this.#options.requestBytes,
		);
		this.#outgoing.writeHead(status, downstreamHeaders(headers, provider));
		// An event stream may be silent for a while: its head must not wait for the first event.
		if (headers["content-length"] === undefined) this.#outgoing.flushHeaders();
	}

	onResponseData(controller: Dispatcher.DispatchController, chunk: Buffer): void {
		if (this.#ended || this.#usage === null) return;
		this.#usage.push(chunk);
		if (this.#outgoing.write(chunk)) return;
		controller.pause();
		this.#outgoing.once("drain", this.#onDrain);
		this.#stall = this.#clock.after(aiLimits.maxStallMs, () => this.#outgoing.destroy());
	}

	onResponseEnd(): void {
		if (this.#ended || this.#usage === null) return;
		this.#outgoing.end();
		this.#finish({ kind: "answered", status: this.#status, complete: true, usage: this.#usage });
	}

	onResponseError(_controller: Dispatcher.DispatchController, fault: Error): void {
		if (this.#ended) return;
		if (this.#usage === null) {
			this.#finish({ kind: "failed", error: this.#faultError(fault) });
			return;
		}
		// Broken off in the middle: the client must see that, never a clean end.
		this.#finish({ kind: "answered", status: this.#status, complete: false, usage: this.#usage });
		this.#outgoing.destroy();
	}

	#clientLeft(): void {
		if (this.#ended) return;
		if (this.#usage !== null)
			this.#finish({ kind: "answered", status: this.#status, complete: false, usage: this.#usage });
		else if (this.#controller === null) this.#finish({ kind: "unasked" });
		else this.#finish({ kind: "left", usage: new UsageReader("", "", this.#options.requestBytes) });
		this.#controller?.abort(new Error("the client left"));
	}

	#resume(): void {
		this.#stall?.cancel();
		this.#controller?.resume();
	}

	#finish(end: ExchangeEnd): void {
		this.#ended = true;
		this.#stall?.cancel();
		this.#outgoing.off("close", this.#onClose);
		this.#outgoing.off("drain", this.#onDrain);
		this.#done(end);
	}

	#faultError(fault: Error): WarrenError {
		const { provider, origin } = this.#options;
		if ("code" in fault && fault instanceof Error && fault.name === "WarrenError") return fault as WarrenError;
		const silent = (fault as { code?: unknown }).code === headTimeoutCode;
		if (provider.id === "ollama" && !silent)
			return aiError("ollama_unreachable", `Cannot reach Ollama at ${origin}. Is it running?`, { cause: fault });
		if (silent)
			return aiError("provider_silent", `${provider.name} did not answer within ${aiLimits.firstByteMs / 1000} s.`, {
				cause: fault,
			});
		return aiError("provider_unreachable", `${provider.name} cannot be reached: ${reasonOf(fault)}.`, { cause: fault });
	}
}

/** Addresses and codes of the network, never a header or a body. */
function reasonOf(fault: Error): string {
	const { code } = fault as { code?: string };
	return (code ?? messageOf(fault)).slice(0, 120);
}
