import {
	type Clock,
	type Closeable,
	formatTraceparent,
	parseTraceparent,
	type Random,
	type Span,
	type SpanFacts,
	type Tracer,
} from "@warren/kernel";
import type { TraceConfig } from "../config/trace-config.ts";
import { OtlpExporter, type OtlpSpan } from "./otlp-exporter.ts";

/** Kind of a span that answers somebody (OTLP `SPAN_KIND_SERVER`). */
const serverKind = 2;
const failed = 2;

/** Spans of this process, sent to a collector. What was not sampled is passed on and not sent. */
export class OtlpTracer implements Tracer, Closeable {
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #config: TraceConfig;
	readonly #exporter: OtlpExporter;

	constructor(deps: { readonly clock: Clock; readonly random: Random }, config: TraceConfig, exporter: OtlpExporter) {
		this.#clock = deps.clock;
		this.#random = deps.random;
		this.#config = config;
		this.#exporter = exporter;
	}

	begin(parent: string | undefined): Span {
		const caller = parseTraceparent(parent);
		const traceId = caller?.traceId ?? this.#id(16);
		const spanId = this.#id(8);
		const sampled = caller !== null && this.#config.followsParent ? caller.sampled : this.#chosen(traceId);
		// The wall says when it began, the monotonic clock how long it took: the wall may jump meanwhile.
		const startMs = this.#clock.now();
		const startedAt = this.#clock.monotonic();
		let open = true;
		return {
			traceparent: formatTraceparent({ traceId, spanId, sampled }),
			end: (facts) => {
				if (!open) return;
				open = false;
				if (!sampled) return;
				const endMs = startMs + (this.#clock.monotonic() - startedAt);
				this.#exporter.add({
					traceId,
					spanId,
					...(caller === null ? {} : { parentSpanId: caller.spanId }),
					name: facts.name,
					kind: serverKind,
					startTimeUnixNano: nanoseconds(startMs),
					endTimeUnixNano: nanoseconds(endMs),
					attributes: attributesOf(facts),
					...(isFault(facts) ? { status: { code: failed } } : {}),
				});
			},
		};
	}

	/** Spans that reached nobody: the collector was away, or slower than this process. */
	get dropped(): number {
		return this.#exporter.dropped;
	}

	close(): Promise<void> {
		return this.#exporter.close();
	}

	/** The same verdict at each process that is told the same ratio. */
	#chosen(traceId: string): boolean {
		return Number.parseInt(traceId.slice(-12), 16) < this.#config.ratio * 2 ** 48;
	}

	/** All zeros would be none. */
	#id(bytes: number): string {
		const made = Buffer.from(this.#random.bytes(bytes));
		if (made.every((byte) => byte === 0)) made[0] = 1;
		return made.toString("hex");
	}
}

function isFault({ status, attributes }: SpanFacts): boolean {
	return (status ?? 0) >= 500 || attributes?.["error.type"] !== undefined;
}

function attributesOf({ status, attributes = {} }: SpanFacts): OtlpSpan["attributes"] {
	const all = status === undefined ? attributes : { ...attributes, "http.response.status_code": status };
	return Object.entries(all).map(([key, value]) => ({
		key,
		value:
			typeof value === "string"
				? { stringValue: value }
				: typeof value === "boolean"
					? { boolValue: value }
					: { intValue: String(Math.round(value)) },
	}));
}

/** As OTLP's JSON writes 64 bits: a decimal string. @param ms with fractions. */
function nanoseconds(ms: number): string {
	return String(BigInt(Math.floor(ms)) * 1_000_000n + BigInt(Math.round((ms % 1) * 1e6)));
}
