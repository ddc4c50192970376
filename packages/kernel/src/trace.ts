/** What one process did for a request that crosses several: a span of a trace, as OpenTelemetry has it. */
export interface Span {
	/** `traceparent` (W3C Trace Context) for whatever is asked of others meanwhile. */
	readonly traceparent: string;
	/** Once; later calls change nothing. */
	end(facts: SpanFacts): void;
}

export interface SpanFacts {
	/** Of few different values: a method and a route's pattern, never a path, a query or a name that people chose. */
	readonly name: string;
	/** The answer's; absent where there was none. */
	readonly status?: number;
	readonly attributes?: Readonly<Record<string, string | number | boolean>>;
}

/** Where spans go. There is one only where an operator asked for it: whoever is handed none does nothing. */
export interface Tracer {
	/** @param parent the request's `traceparent` as it came; what is none, or malformed, begins a trace. */
	begin(parent: string | undefined): Span;
}

export interface TraceContext {
	/** 32 hex digits, not all zero. */
	readonly traceId: string;
	/** 16 hex digits, not all zero. */
	readonly spanId: string;
	readonly sampled: boolean;
}

/** W3C Trace Context §3.2: `00-TRACE-SPAN-FLAGS`. Later versions are read as far as this one goes. @returns null for what is none. */
export function parseTraceparent(text: string | undefined): TraceContext | null {
	if (text === undefined || text.length > maxTraceparentLength) return null;
	const found = /^([0-9a-f]{2})-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?$/.exec(text);
	if (found === null) return null;
	const [, version, traceId = "", spanId = "", flags = "", more] = found;
	if (version === "ff" || (version === "00" && more !== undefined)) return null;
	if (/^0+$/.test(traceId) || /^0+$/.test(spanId)) return null;
	return { traceId, spanId, sampled: (Number.parseInt(flags, 16) & 1) === 1 };
}

export function formatTraceparent({ traceId, spanId, sampled }: TraceContext): string {
	return `00-${traceId}-${spanId}-${sampled ? "01" : "00"}`;
}

const maxTraceparentLength = 256;
