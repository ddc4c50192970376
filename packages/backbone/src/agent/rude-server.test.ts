import { silentLogger, systemRandom } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";
import { encodeFrame, FrameType } from "../protocol/frames.ts";
import { agentWindows, ServiceAgent } from "./service-agent.ts";

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
