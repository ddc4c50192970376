import { describe, expect, it } from "vitest";
import { formatTraceparent, parseTraceparent } from "./trace.ts";

const trace = "0af7651916cd43dd8448eb211c80319c";
const span = "b7ad6b7169203331";

describe("traceparent", () => {
	it("is read as the standard's example is, and written the same", () => {
		const text = `00-${trace}-${span}-01`;
		expect(parseTraceparent(text)).toEqual({ traceId: trace, spanId: span, sampled: true });
		expect(formatTraceparent({ traceId: trace, spanId: span, sampled: true })).toBe(text);
		expect(parseTraceparent(`00-${trace}-${span}-00`)?.sampled).toBe(false);
	});

	it("of a later version is read as far as this one goes", () => {
		expect(parseTraceparent(`cc-${trace}-${span}-03-what-comes`)).toMatchObject({ traceId: trace, sampled: true });
	});

	it.each([
		["nothing", undefined],
		["an empty one", ""],
		["version ff", `ff-${trace}-${span}-01`],
		["more than version 00 has", `00-${trace}-${span}-01-x`],
		["capitals", `00-${trace.toUpperCase()}-${span}-01`],
		["a trace of zeros", `00-${"0".repeat(32)}-${span}-01`],
		["a span of zeros", `00-${trace}-${"0".repeat(16)}-01`],
		["a short trace", `00-${trace.slice(1)}-${span}-01`],
		["two headers joined", `00-${trace}-${span}-01, 00-${trace}-${span}-01`],
		["a line break", `00-${trace}-${span}-01\r\nx: y`],
		["a very long one", `01-${trace}-${span}-01-${"x".repeat(300)}`],
	])("is none: %s", (_what, text) => {
		expect(parseTraceparent(text)).toBeNull();
	});
});
