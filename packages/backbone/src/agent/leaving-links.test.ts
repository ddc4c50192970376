import type { Socket } from "node:net";
import { silentLogger, systemRandom } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";
import { encodeCoded, encodeFrame, FrameType } from "../protocol/frames.ts";
import { agentWindows, ServiceAgent } from "./service-agent.ts";

const elsewhere = { host: "127.0.0.1", port: 1, proxyProtocol: false };
const request = "GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n";

async function streaming(transport: "shared" | "parked") {
	const server = await TestBackbone.open();
	let target: Socket | undefined;
	const service = await server.tcp((socket) => {
		target = socket;
		socket.once("data", () => socket.write("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello"));
	});
	const agent = await server.agent("web", service.port, { transport });
	const client = await server.client();
	client.send(request);
	await client.until(/hello/);
	return { server, agent, client, target: target as Socket };
}

it.each(["shared", "parked"] as const)(
	"an agent that stops waits for what runs at an earlier target (%s)",
	async (transport) => {
		const { server, agent, client, target } = await streaming(transport);
		await using _server = server;
		using _client = client;
		agent.retarget(elsewhere);
		let stopped = false;
		const stopping = agent.close(60_000).then(() => (stopped = true));
		for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
		expect(stopped).toBe(false);
		target.end("over");
		expect(await client.closed()).toMatch(/helloover$/);
		await stopping;
	},
);

it.each(["shared", "parked"] as const)("…and cuts it when its time is over (%s)", async (transport) => {
	const { server, agent, client, target } = await streaming(transport);
	await using _server = server;
	using _client = client;
	const cut = new Promise((resolve) => target.once("close", resolve));
	agent.retarget(elsewhere);
	await agent.close(0);
	await cut;
	expect(await client.closed()).toMatch(/hello$/);
});

it("a link that was told to go away is cut all the same when its server falls silent", async () => {
	await using server = await TestBackbone.open();
	const target = await server.tcp(() => {});
	let told = () => {};
	const welcomed = new Promise<void>((resolve) => (told = resolve));
	let link: Socket | undefined;
	const silent = await server.tcp((socket) => {
		link ??= socket;
		socket.once("end", () => socket.end());
		socket.once("data", () => {
			socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: warren-tunnel\r\nConnection: Upgrade\r\n\r\n");
			const facts = { service: "web", kind: "tcp", url: "x", maxLinks: 1, spareLinks: 1, pingMs: 1000 };
			socket.write(encodeFrame(FrameType.welcome, JSON.stringify(facts)));
			if (socket !== link) return;
			socket.write(encodeFrame(FrameType.open, '{"kind":"tcp"}'));
			socket.write(encodeCoded(FrameType.goAway, 1012, "stopping"));
			socket.write(encodeFrame(FrameType.ping, Buffer.alloc(8)));
			socket.once("data", told);
		});
	});
	const clock = new VirtualClock();
	const agent = new ServiceAgent(
		{ clock, random: systemRandom, logger: silentLogger, windows: agentWindows(), changed: () => {} },
		{
			...{ url: new URL(`http://127.0.0.1:${silent.port}`), tls: {}, transport: "parked", service: "web" },
			...{ token: "mosb_web_x", name: null, target: { host: "127.0.0.1", port: target.port, proxyProtocol: false } },
		},
	);
	agent.start();
	await welcomed;
	const gone = new Promise((resolve) => link?.once("close", resolve));
	await clock.advance(10_000);
	await gone;
	expect(agent.status.state).not.toBe("stopped");
	const stopping = agent.close(0);
	await clock.advance(0);
	await stopping;
	expect(clock.pending).toBe(0);
});
