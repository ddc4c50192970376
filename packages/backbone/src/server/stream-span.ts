import type { Span } from "@warren/kernel";

/** Ends the span of a stream's beginning: what passes through the stream is read by nobody here. @param fault null = it stands. */
export function endStreamSpan(
	span: Span | null,
	verb: "hop" | "tcp" | "udp" | "forward",
	service: string,
	fault: "cancelled" | "no_agent" | null,
): void {
	span?.end({
		name: `${verb} service`,
		attributes: {
			"warren.role": "backbone",
			"warren.service": service,
			...(fault === null ? {} : { "error.type": fault }),
		},
	});
}

/** What OPEN carries of a trace: this process's span, else what came. */
export function carried(span: Span | null, came?: string): { readonly traceparent?: string } {
	const traceparent = span?.traceparent ?? came;
	return traceparent === undefined ? {} : { traceparent };
}
