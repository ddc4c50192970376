import { Readable } from "node:stream";
import type { Clock, Timer } from "@warren/kernel";
import type { Dispatcher } from "undici";
import { aiLimits } from "../limits.ts";
import { headTimeoutCode, type Upstream } from "./upstream.ts";

/** The providers by Fetch: the platform keeps the connections, and follows no redirect. */
export class FetchUpstream implements Upstream {
	readonly #clock: Clock;
	readonly #open = new Set<FetchExchange>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
		const exchange = new FetchExchange(this.#clock, handler);
		this.#open.add(exchange);
		void exchange.run(options).finally(() => this.#open.delete(exchange));
		return true;
	}

	close(): void {
		for (const exchange of this.#open) exchange.abort(new Error("the hub is closing"));
	}
}

/** One request, as undici's handler follows it. */
class FetchExchange {
	readonly #clock: Clock;
	readonly #handler: Dispatcher.DispatchHandler;
	readonly #abort = new AbortController();
	#resumed: (() => void) | null = null;
	#paused = false;
	#timer: Timer | null = null;

	constructor(clock: Clock, handler: Dispatcher.DispatchHandler) {
		this.#clock = clock;
		this.#handler = handler;
	}

	abort(reason: Error): void {
		this.#abort.abort(reason);
		this.#resume();
	}

	/** Tells the handler everything, its fault included; never rejects. */
	async run(options: Dispatcher.DispatchOptions): Promise<void> {
		const handler = this.#handler;
		const controller = this.#controller();
		try {
			handler.onRequestStart?.(controller, null);
			this.#abort.signal.throwIfAborted();
			this.#await(aiLimits.firstByteMs, headTimeoutCode);
			const response = await fetch(`${String(options.origin)}${options.path}`, {
				method: options.method,
				headers: options.headers as Record<string, string>,
				body: await bodyOf(options),
				redirect: "manual",
				signal: this.#abort.signal,
				duplex: "half",
			} as RequestInit);
			handler.onResponseStart?.(controller, response.status, headersOf(response), response.statusText);
			await this.#pass(response.body, controller);
			this.#timer?.cancel();
			handler.onResponseEnd?.(controller, {});
		} catch (fault) {
			this.#timer?.cancel();
			const reason: unknown = this.#abort.signal.aborted ? this.#abort.signal.reason : fault;
			handler.onResponseError?.(controller, reason instanceof Error ? reason : new Error(String(reason)));
		}
	}

	async #pass(body: ReadableStream<Uint8Array> | null, controller: Dispatcher.DispatchController): Promise<void> {
		const reader = body?.getReader();
		for (;;) {
			this.#await(aiLimits.idleMs, "UND_ERR_BODY_TIMEOUT");
			const { done, value } = (await reader?.read()) ?? { done: true, value: undefined };
			this.#abort.signal.throwIfAborted();
			if (done || value === undefined) return;
			this.#handler.onResponseData?.(controller, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
			if (this.#paused) {
				// Whoever reads has limits of its own.
				this.#timer?.cancel();
				await new Promise<void>((resolve) => {
					this.#resumed = resolve;
				});
				this.#abort.signal.throwIfAborted();
			}
		}
	}

	/** Ends it with this code unless something comes. */
	#await(ms: number, code: string): void {
		this.#timer?.cancel();
		this.#timer = this.#clock.after(ms, () =>
			this.abort(Object.assign(new Error(`nothing came for ${ms} ms`), { code })),
		);
	}

	#resume(): void {
		this.#paused = false;
		this.#resumed?.();
		this.#resumed = null;
	}

	#controller(): Dispatcher.DispatchController {
		const { signal } = this.#abort;
		const isPaused = () => this.#paused;
		return {
			abort: (reason: Error) => this.abort(reason),
			pause: () => {
				this.#paused = true;
			},
			resume: () => this.#resume(),
			get aborted() {
				return signal.aborted;
			},
			get paused() {
				return isPaused();
			},
			get reason() {
				return (signal.reason as Error | undefined) ?? null;
			},
			rawHeaders: null,
			rawTrailers: null,
		} as Dispatcher.DispatchController;
	}
}

/**
 * A body whose length nobody declared is read first: were it broken off on its way (too large, the client gone), Fetch
 * might end it as if it were whole.
 */
async function bodyOf({ body, headers }: Dispatcher.DispatchOptions): Promise<BodyInit | null> {
	if (body instanceof Readable) {
		if ((headers as Record<string, string>)["content-length"] !== undefined)
			return Readable.toWeb(body) as unknown as ReadableStream;
		const chunks: Buffer[] = [];
		for await (const chunk of body) chunks.push(chunk as Buffer);
		return Buffer.concat(chunks);
	}
	return (body as Uint8Array<ArrayBuffer> | null | undefined) ?? null;
}

/** Fetch has unpacked what was packed: what the head says of that holds no more. */
function headersOf(response: Response): Record<string, string> {
	const headers = Object.fromEntries(response.headers);
	if (headers["content-encoding"] === undefined) return headers;
	const { "content-encoding": _encoding, "content-length": _length, ...unpacked } = headers;
	return unpacked;
}
