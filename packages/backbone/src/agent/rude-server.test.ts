import { type Clock, silentLogger, systemRandom } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";
import { encodeFrame, FrameType } from "../protocol/frames.ts";
import { agentWindows, ServiceAgent, serviceAgentLimits } from "./service-agent.ts";

const { welcome, want, goAway, open } = FrameType;

it.each([
	["WELCOME that is no JSON", encodeFrame(welcome, "{")],
	["WELCOME of null", encodeFrame(welcome, "null")],
	["WELCOME without its numbers", encodeFrame(welcome, '{"url":"x"}')],
	["WANT without a number", encodeFrame(want)],
	["GOAWAY without a code", encodeFrame(goAway)],
	["OPEN of null", encodeFrame(open, "null")],
	["OPEN whose client is none", encodeFrame(open, '{"kind":"tcp","client":{"address":1,"port":2},"local":{}}')],
])("F3: %s costs its link alone, and the agent dials again", async (_what, frame) => {
	await using server = await TestBackbone.open();
	let closed = () => {};
	const gone = new Promise<void>((resolve) => (closed = resolve));
	let again = () => {};
	const dialled = new Promise<void>((resolve) => (again = resolve));
	let dials = 0;
	const rude = await server.tcp((socket) => {
		dials += 1;
		if (dials > 1) again();
		socket.once("data", () => {
			socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: warren-tunnel\r\nConnection: Upgrade\r\n\r\n");
			socket.write(frame);
			socket.once("end", () => socket.end());
			socket.once("close", closed);
		});
	});
	const clock = new VirtualClock();
	let failed = () => {};
	const lost = new Promise<void>((resolve) => (failed = resolve));
	const agent = new ServiceAgent(
		{ clock, random: systemRandom, logger: silentLogger, windows: agentWindows(), changed: () => failed() },
		{
			...{ url: new URL(`http://127.0.0.1:${rude.port}`), tls: {}, transport: "parked", service: "web" },
			...{ token: "mosb_web_x", name: null, target: { host: "127.0.0.1", port: 1, proxyProtocol: true } },
		},
	);
	agent.start();
	await gone;
	await lost;
	await clock.advance(60_000);
	await dialled;
	expect(agent.status.state).not.toBe("stopped");
	await agent.close(0);
});

it("a server that takes a link and lets it go again without a word is dialled less and less often", async () => {
	await using server = await TestBackbone.open();
	const full = await server.tcp((socket) => {
		socket.once("data", () =>
			socket.end("HTTP/1.1 101 Switching Protocols\r\nUpgrade: warren-tunnel\r\nConnection: Upgrade\r\n\r\n"),
		);
	});
	const virtual = new VirtualClock();
	const waits: number[] = [];
	let more = () => {};
	const { sweepMs, backoff } = serviceAgentLimits;
	const clock: Clock = {
		now: () => virtual.now(),
		monotonic: () => virtual.monotonic(),
		after(ms, action) {
			if (ms !== sweepMs && waits.push(ms) > 0) more();
			return virtual.after(ms, action);
		},
	};
	// The longest waits that there are.
	const random = { ...systemRandom, fraction: () => 1 };
	const agent = new ServiceAgent(
		{ clock, random, logger: silentLogger, windows: agentWindows(), changed: () => {} },
		{
			...{ url: new URL(`http://127.0.0.1:${full.port}`), tls: {}, transport: "parked", service: "web" },
			...{ token: "mosb_web_x", name: null, target: { host: "127.0.0.1", port: 1, proxyProtocol: false } },
		},
	);
	agent.start();
	for (let rounds = 1; rounds <= 4; rounds++) {
		while (waits.length < rounds) await new Promise<void>((resolve) => (more = resolve));
		await virtual.advance(waits[rounds - 1] as number);
	}
	const closing = agent.close(0);
	await virtual.advance(0);
	await closing;
	expect(waits.slice(0, 4)).toEqual([1, 2, 4, 8].map((times) => backoff.firstMs * times));
});
