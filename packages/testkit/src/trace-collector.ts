import { once } from "node:events";
import { createServer, type IncomingHttpHeaders } from "node:http";
import type { AddressInfo } from "node:net";

/** A span as a collector gets it, with the process that sent it. */
export interface CollectedSpan {
	readonly service: string;
	readonly traceId: string;
	readonly spanId: string;
	readonly parentSpanId: string | undefined;
	readonly name: string;
	readonly kind: number;
	readonly milliseconds: number;
	readonly attributes: Readonly<Record<string, string>>;
	readonly failed: boolean;
}

/** An OpenTelemetry collector on loopback, as far as OTLP over HTTP in JSON goes. */
export interface TraceCollector extends AsyncDisposable {
	/** For OTEL_EXPORTER_OTLP_ENDPOINT. */
	readonly endpoint: string;
	readonly spans: readonly CollectedSpan[];
	readonly requests: readonly { readonly headers: IncomingHttpHeaders; readonly text: string }[];
	/** What it answers from now on; 200 unless told. */
	status: number;
	/** Asked after each batch. */
	until(holds: (spans: readonly CollectedSpan[]) => boolean): Promise<void>;
	/** The same, for batches that were refused, too. */
	requested(count: number): Promise<void>;
}

export async function openTraceCollector(): Promise<TraceCollector> {
	const spans: CollectedSpan[] = [];
	const requests: { headers: IncomingHttpHeaders; text: string }[] = [];
	const waiting = new Set<() => void>();
	const holds = (check: () => boolean) =>
		new Promise<void>((resolve) => {
			const look = () => {
				if (!check()) return;
				waiting.delete(look);
				resolve();
			};
			waiting.add(look);
			look();
		});
	const server = createServer((incoming, outgoing) => {
		const chunks: Buffer[] = [];
		incoming.on("data", (chunk: Buffer) => chunks.push(chunk));
		incoming.on("end", () => {
			const text = Buffer.concat(chunks).toString();
			requests.push({ headers: incoming.headers, text });
			const taken = incoming.url === "/v1/traces" && collector.status === 200;
			if (taken) spans.push(...read(JSON.parse(text)));
			outgoing.writeHead(taken ? 200 : collector.status === 200 ? 404 : collector.status).end("{}");
			for (const look of [...waiting]) look();
		});
	});
	server.listen(0, "127.0.0.1");
	await once(server, "listening");
	const collector: TraceCollector = {
		endpoint: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
		spans,
		requests,
		status: 200,
		until: (check) => holds(() => check(spans)),
		requested: (count) => holds(() => requests.length >= count),
		async [Symbol.asyncDispose]() {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
	return collector;
}

function read(body: any): CollectedSpan[] {
	const record = (attributes: any[]) =>
		Object.fromEntries(attributes.map(({ key, value }) => [key, String(Object.values(value)[0])]));
	return body.resourceSpans.flatMap(({ resource, scopeSpans }: any) =>
		scopeSpans.flatMap(({ spans }: any) =>
			spans.map((span: any) => ({
				service: record(resource.attributes)["service.name"],
				traceId: span.traceId,
				spanId: span.spanId,
				parentSpanId: span.parentSpanId,
				name: span.name,
				kind: span.kind,
				milliseconds: Number(BigInt(span.endTimeUnixNano) - BigInt(span.startTimeUnixNano)) / 1e6,
				attributes: record(span.attributes),
				failed: span.status?.code === 2,
			})),
		),
	);
}
