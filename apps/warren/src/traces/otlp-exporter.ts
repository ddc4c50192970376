import { type Clock, type Closeable, type Logger, messageOf, type Timer } from "@warren/kernel";
import { Agent, request } from "undici";
import type { TraceConfig } from "../config/trace-config.ts";

type Value = { readonly stringValue: string } | { readonly intValue: string } | { readonly boolValue: boolean };

/** As OTLP's JSON has it: identifiers in hex, 64 bits as decimal strings. */
export interface OtlpSpan {
	readonly traceId: string;
	readonly spanId: string;
	readonly parentSpanId?: string;
	readonly name: string;
	readonly kind: number;
	readonly startTimeUnixNano: string;
	readonly endTimeUnixNano: string;
	readonly attributes: readonly { readonly key: string; readonly value: Value }[];
	readonly status?: { readonly code: number };
}

export const exportLimits = {
	/** Spans that wait; more are dropped, and counted. */
	maxQueued: 2_048,
	maxBatch: 512,
	/** What a collector that comes back gets. */
	maxTries: 3,
	/** Of what is left when the process ends. */
	closeMs: 2_000,
	/** A collector that is away is said this often. */
	complainEveryMs: 60_000,
} as const;

/** OTLP over HTTP, in JSON: spans wait for company and leave in batches. A collector that is away costs spans, never requests. */
export class OtlpExporter implements Closeable {
	readonly #clock: Clock;
	readonly #logger: Logger;
	readonly #config: TraceConfig;
	readonly #resource: object;
	readonly #version: string;
	readonly #agent: Agent;
	#queue: OtlpSpan[] = [];
	#timer: Timer | null = null;
	#sending: Promise<void> | null = null;
	#dropped = 0;
	#complainedAt = Number.NEGATIVE_INFINITY;
	#closed = false;

	/** @param resource what this process is, on each of its spans. */
	constructor(
		deps: { readonly clock: Clock; readonly logger: Logger },
		config: TraceConfig,
		resource: Readonly<Record<string, string>>,
		version: string,
	) {
		this.#clock = deps.clock;
		this.#logger = deps.logger;
		this.#config = config;
		this.#version = version;
		this.#resource = {
			attributes: Object.entries(resource).map(([key, stringValue]) => ({ key, value: { stringValue } })),
		};
		this.#agent = new Agent({
			connect: config.ca === null ? {} : { ca: config.ca },
			connections: 1,
			headersTimeout: config.timeoutMs,
			bodyTimeout: config.timeoutMs,
		});
	}

	/** Spans that reached nobody. */
	get dropped(): number {
		return this.#dropped;
	}

	add(span: OtlpSpan): void {
		if (this.#closed || this.#queue.length >= exportLimits.maxQueued) {
			this.#dropped += 1;
			return;
		}
		this.#queue.push(span);
		if (this.#queue.length >= exportLimits.maxBatch) this.#send();
		else this.#timer ??= this.#clock.after(this.#config.delayMs, () => this.#send());
	}

	async close(): Promise<void> {
		this.#closed = true;
		const late = this.#clock.after(exportLimits.closeMs, () => void this.#agent.destroy());
		await this.#sending;
		if (this.#queue.length > 0) {
			this.#send();
			await this.#sending;
		}
		late.cancel();
		await this.#agent.destroy();
	}

	#send(): void {
		this.#timer?.cancel();
		this.#timer = null;
		// One at a time: what comes meanwhile is the next batch.
		if (this.#sending !== null || this.#queue.length === 0) return;
		const batch = this.#queue.splice(0, exportLimits.maxBatch);
		this.#sending = this.#deliver(batch).finally(() => {
			this.#sending = null;
			if (this.#queue.length >= exportLimits.maxBatch) this.#send();
			else if (this.#queue.length > 0 && !this.#closed)
				this.#timer ??= this.#clock.after(this.#config.delayMs, () => this.#send());
		});
	}

	async #deliver(spans: readonly OtlpSpan[]): Promise<void> {
		const scope = { name: "warren", version: this.#version };
		const body = JSON.stringify({ resourceSpans: [{ resource: this.#resource, scopeSpans: [{ scope, spans }] }] });
		for (let tries = 1; ; tries++) {
			const refusal = await this.#post(body);
			if (refusal === null) return;
			if (!refusal.again || tries >= exportLimits.maxTries || this.#closed)
				return this.#complain(spans.length, refusal.why);
			await new Promise<void>((resolve) => this.#clock.after(this.#config.delayMs, resolve));
		}
	}

	/** @returns null once the collector has them. */
	async #post(body: string): Promise<{ readonly why: string; readonly again: boolean } | null> {
		try {
			const answer = await request(this.#config.url, {
				method: "POST",
				dispatcher: this.#agent,
				headers: { ...this.#config.headers, "content-type": "application/json" },
				body,
				signal: AbortSignal.timeout(this.#config.timeoutMs),
			});
			await answer.body.dump();
			const { statusCode } = answer;
			if (statusCode >= 200 && statusCode < 300) return null;
			// OTLP names these as the ones to try again.
			return { why: `it answered ${statusCode}`, again: [429, 502, 503, 504].includes(statusCode) };
		} catch (fault) {
			return { why: messageOf(fault), again: true };
		}
	}

	#complain(spans: number, why: string): void {
		this.#dropped += spans;
		const now = this.#clock.monotonic();
		if (now - this.#complainedAt < exportLimits.complainEveryMs) return;
		this.#complainedAt = now;
		this.#logger.warn("traces did not reach the collector", {
			collector: new URL(this.#config.url).host,
			why,
			dropped: this.#dropped,
		});
	}
}
