import { openTraceCollector, type StartedNode, startNode, type TraceCollector } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { bearer, call, owner } from "./warren-pair.ts";

/** One request over three machines' processes is one trace at a collector. */
describe("a trace", { timeout: 120_000 }, () => {
	let collector: TraceCollector;
	const nodes: StartedNode[] = [];
	let session: string;
	let relayed: string;

	beforeAll(async () => {
		collector = await openTraceCollector();
		const traced = (name: string) => ({
			WARREN_SIDECAR_PORT: "0",
			OTEL_EXPORTER_OTLP_ENDPOINT: collector.endpoint,
			OTEL_SERVICE_NAME: name,
			OTEL_BSP_SCHEDULE_DELAY: "50",
		});
		const hub = await startNode({ command: ["up"], name: "atlas", pin: null, env: traced("atlas") });
		nodes.push(hub);
		const setup = { "x-warren-setup": (hub.setupUrl as string).split("#setup=")[1] as string };
		session = (await call(hub, "POST", "/auth/signup", setup, owner)).body.token as string;
		for (const name of ["burrow", "cavern"]) {
			const { code } = (await call(hub, "POST", "/v1/invites", bearer(session), {})).body as { code: string };
			const env = { ...traced(name), WARREN_JOIN_CODE: code };
			nodes.push(await startNode({ command: ["join", hub.origin], name, env }));
		}
		const cavern = nodes[2] as StartedNode;
		await vi.waitFor(
			async () => {
				const { body } = await call(cavern, "GET", "/api/peers", { authorization: cavern.authorization });
				relayed = body.peers.find((peer: { name: string }) => peer.name === "burrow").id;
			},
			{ timeout: 60_000, interval: 100 },
		);
	}, 120_000);
	afterAll(async () => {
		for (const node of nodes.toReversed()) await node[Symbol.asyncDispose]();
		await collector?.[Symbol.asyncDispose]();
	});

	it("crosses relay and hub: three processes' spans, each the child of the one before", async () => {
		const [, , cavern] = nodes as [StartedNode, StartedNode, StartedNode];
		const trace = "0af7651916cd43dd8448eb211c80319c";
		const secret = "not-for-collectors";
		const answer = await call(cavern, "GET", `/r/${relayed}/api/settings/ai?token=${secret}`, {
			authorization: cavern.authorization,
			"x-mobux-upstream-authorization": `Bearer ${session}`,
			traceparent: `00-${trace}-b7ad6b7169203331-01`,
		});
		expect(answer.status, JSON.stringify(answer.body)).toBe(200);
		const of = (service: string) =>
			collector.spans.find(
				(span) => span.traceId === trace && span.service === service && span.attributes["warren.role"] !== undefined,
			);
		await collector.until(() => ["atlas", "burrow", "cavern"].every((service) => of(service) !== undefined));
		expect(of("cavern")?.parentSpanId).toBe("b7ad6b7169203331");
		expect(of("burrow")?.parentSpanId).toBe(of("cavern")?.spanId);
		expect(of("atlas")?.parentSpanId).toBe(of("burrow")?.spanId);
		expect(of("cavern")?.name).toBe("GET /r/:peer/api/*");
		expect(of("atlas")?.attributes["http.route"]).toMatch(/^.api.settings/);
		const sent = collector.requests.map(({ text }) => text).join("\n");
		expect(sent).not.toContain(secret);
		expect(sent).not.toContain(session);
		expect(sent).not.toContain("?");
	});

	it("crosses from a machine to its hub with what the page itself asks", async () => {
		const [, burrow] = nodes as [StartedNode, StartedNode];
		const trace = "1af7651916cd43dd8448eb211c80319d";
		const traceparent = `00-${trace}-b7ad6b7169203331-01`;
		expect((await call(burrow, "GET", "/me", { ...bearer(session), traceparent })).status).toBe(200);
		const spans = () => collector.spans.filter((span) => span.traceId === trace);
		const of = (service: string) => spans().filter((span) => span.service === service);
		await collector.until(() =>
			of("atlas").some((hub) => of("burrow").some((node) => node.spanId === hub.parentSpanId)),
		);
	});
});
