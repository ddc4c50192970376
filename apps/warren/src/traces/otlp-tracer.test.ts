import { type Clock, type Logger, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { openTraceCollector, type TraceCollector } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { parseTraceConfig } from "../config/trace-config.ts";
import { openTracer } from "./open-tracer.ts";
import { exportLimits } from "./otlp-exporter.ts";
import type { OtlpTracer } from "./otlp-tracer.ts";

let collector: TraceCollector;
beforeEach(async () => {
	collector = await openTraceCollector();
});
afterEach(() => collector[Symbol.asyncDispose]());

const trace = "0af7651916cd43dd8448eb211c80319c";
const parent = (flags: string) => `00-${trace}-b7ad6b7169203331-${flags}`;

async function tracer(more: Record<string, string> = {}, logger: Logger = silentLogger, clock: Clock = systemClock) {
	const environment = { OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint, OTEL_BSP_SCHEDULE_DELAY: "1", ...more };
	return (await openTracer("hub", { clock, random: systemRandom, logger }, environment)) as OtlpTracer;
}

describe("spans of a process", () => {
	it("reach the collector, a child of what the caller sent, with its time and its failure", async () => {
		const own = await tracer({ OTEL_EXPORTER_OTLP_HEADERS: "x-key=a%20secret", OTEL_RESOURCE_ATTRIBUTES: "zone=here" });
		const span = own.begin(parent("01"));
		expect(span.traceparent).toMatch(new RegExp(`^00-${trace}-[0-9a-f]{16}-01$`));
		span.end({ name: "GET /x", status: 503, attributes: { "http.route": "/x", tries: 2 } });
		span.end({ name: "again" });
		await collector.until((spans) => spans.length === 1);
		expect(collector.spans[0]).toMatchObject({
			service: "warren-hub",
			traceId: trace,
			spanId: span.traceparent.split("-")[2],
			parentSpanId: "b7ad6b7169203331",
			name: "GET /x",
			kind: 2,
			failed: true,
			attributes: { "http.route": "/x", tries: "2", "http.response.status_code": "503" },
		});
		expect(collector.spans[0]?.milliseconds).toBeGreaterThanOrEqual(0);
		expect(collector.requests[0]?.headers).toMatchObject({ "content-type": "application/json", "x-key": "a secret" });
		await own.close();
		expect(collector.spans).toHaveLength(1);
	});

	it("that the caller did not sample are passed on and not sent, unless the sampler says otherwise", async () => {
		const follows = await tracer();
		const left = follows.begin(parent("00"));
		expect(left.traceparent).toMatch(/-00$/);
		left.end({ name: "left out" });
		follows.begin(undefined).end({ name: "sent" });
		await follows.close();
		const always = await tracer({ OTEL_TRACES_SAMPLER: "always_on" });
		always.begin(parent("00")).end({ name: "sent, too" });
		await always.close();
		const never = await tracer({ OTEL_TRACES_SAMPLER: "traceidratio", OTEL_TRACES_SAMPLER_ARG: "0" });
		never.begin(parent("01")).end({ name: "never" });
		await never.close();
		expect(collector.spans.map((span) => span.name)).toEqual(["sent", "sent, too"]);
	});

	it("are sent when the process ends, however long they would have waited", async () => {
		const own = await tracer({ OTEL_BSP_SCHEDULE_DELAY: "600000" });
		own.begin(undefined).end({ name: "last" });
		expect(collector.requests).toHaveLength(0);
		await own.close();
		expect(collector.spans.map((span) => span.name)).toEqual(["last"]);
	});

	it("wait for a collector that is busy, and are dropped when it refuses, with one line in the log", async () => {
		const lines: string[] = [];
		const logger = {
			...silentLogger,
			warn: (event: string, fields?: object) => lines.push(event + JSON.stringify(fields)),
		};
		const own = await tracer({}, logger as Logger);
		collector.status = 503;
		own.begin(undefined).end({ name: "kept" });
		await collector.requested(1);
		collector.status = 200;
		await collector.until((spans) => spans.some((span) => span.name === "kept"));
		expect(lines).toEqual([]);
		collector.status = 400;
		own.begin(undefined).end({ name: "refused" });
		await own.close();
		expect(lines).toHaveLength(1);
		expect(lines[0]).toContain("it answered 400");
		expect(collector.spans.map((span) => span.name)).toEqual(["kept"]);
	});

	it(`that are more than ${exportLimits.maxQueued} while the collector is silent are dropped`, async () => {
		// Time stands still: nothing leaves but full batches, and the first of them is never tried again.
		const still: Clock = { ...systemClock, after: () => ({ cancel() {} }) };
		const own = await tracer({}, silentLogger, still);
		collector.status = 503;
		const most = exportLimits.maxBatch + exportLimits.maxQueued;
		for (let count = 0; count < most + 1; count++) own.begin(undefined).end({ name: `${count}` });
		await collector.requested(1);
		const { length } = (JSON.parse(collector.requests[0]?.text ?? "") as any).resourceSpans[0].scopeSpans[0].spans;
		expect([length, own.dropped]).toEqual([exportLimits.maxBatch, 1]);
	});
});

describe("the variables of traces", () => {
	const endpoint = { OTEL_EXPORTER_OTLP_ENDPOINT: "http://collector:4318/" };

	it("are off without a collector, when they say so, and name its path", () => {
		expect(parseTraceConfig({ OTEL_SERVICE_NAME: "x" })).toBeNull();
		expect(parseTraceConfig({ OTEL_EXPORTER_OTLP_ENDPOINT: "" })).toBeNull();
		expect(parseTraceConfig({ ...endpoint, OTEL_SDK_DISABLED: "true" })).toBeNull();
		expect(parseTraceConfig({ ...endpoint, OTEL_TRACES_EXPORTER: "none" })).toBeNull();
		expect(parseTraceConfig(endpoint)?.url).toBe("http://collector:4318/v1/traces");
		const own = { OTEL_EXPORTER_OTLP_TRACES_ENDPOINT: "https://other/x" };
		expect(parseTraceConfig({ ...endpoint, ...own })?.url).toBe("https://other/x");
	});

	it.each([
		["an endpoint that is none", { OTEL_EXPORTER_OTLP_ENDPOINT: "collector:4318" }, /OTEL_EXPORTER_OTLP_ENDPOINT/],
		["another protocol", { ...endpoint, OTEL_EXPORTER_OTLP_PROTOCOL: "grpc" }, /only http\/json/],
		["an unknown sampler", { ...endpoint, OTEL_TRACES_SAMPLER: "jaeger_remote" }, /OTEL_TRACES_SAMPLER/],
		["a ratio above 1", { ...endpoint, OTEL_TRACES_SAMPLER_ARG: "2" }, /OTEL_TRACES_SAMPLER_ARG/],
		["a file that is not there", { ...endpoint, OTEL_EXPORTER_OTLP_CERTIFICATE: "/nowhere.pem" }, /cannot be read/],
		["headers that are none", { ...endpoint, OTEL_EXPORTER_OTLP_HEADERS: "hunter2" }, /no list of name=value/],
	])("refuse %s, and show no secret", (_what, environment, message) => {
		expect(() => parseTraceConfig(environment)).toThrow(message);
		expect(() => parseTraceConfig(environment)).not.toThrow(/hunter2/);
	});
});
