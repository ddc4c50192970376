import { once } from "node:events";
import type { Socket } from "node:net";
import { silentLogger, systemRandom } from "@warren/kernel";
import { VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";
import { agentWindows, ServiceAgent } from "./service-agent.ts";

/** An agent at a server that lets its connections in and begins no lane; `next` gives them in turn. */
async function atSilentServer(server: TestBackbone) {
	const come: Socket[] = [];
	let more = () => {};
	const silent = await server.tcp((socket) => {
		socket.on("end", () => socket.end());
		socket.once("data", () => {
			socket.write("HTTP/1.1 101 Switching Protocols\r\nUpgrade: warren-tunnel-shared\r\nConnection: Upgrade\r\n\r\n");
			come.push(socket);
			more();
		});
	});
	const clock = new VirtualClock();
	const agent = new ServiceAgent(
		{ clock, random: systemRandom, logger: silentLogger, windows: agentWindows(), changed: () => {} },
		{
			...{ url: new URL(`http://127.0.0.1:${silent.port}`), tls: {}, transport: "shared", service: "web" },
			...{ token: "mosb_web_x", name: null, target: { host: "127.0.0.1", port: 1, proxyProtocol: false } },
		},
	);
	agent.start();
	const reached = async (count: number) => {
		while (come.length < count) await new Promise<void>((resolve) => (more = resolve));
		return come[count - 1] as Socket;
	};
	return { agent, clock, reached };
}

it("a shared connection on which the server never begins is given up, and the agent dials again", async () => {
	await using server = await TestBackbone.open();
	const { agent, clock, reached } = await atSilentServer(server);
	const first = await reached(1);
	await reached(2);
	const gone = once(first, "close");
	await clock.advance(60_000);
	await gone;
	await clock.advance(60_000);
	await reached(3);
	const closing = agent.close(0);
	await clock.advance(0);
	await closing;
});

it("an agent that has stopped keeps no connection on which the server has not begun", async () => {
	await using server = await TestBackbone.open();
	const { agent, clock, reached } = await atSilentServer(server);
	const sockets = [await reached(1), await reached(2)];
	const gone = sockets.map((socket) => once(socket, "close"));
	// Answered and taken up are two turns apart at most.
	for (let turn = 0; turn < 20; turn++) await new Promise(setImmediate);
	const closing = agent.close(0);
	await clock.advance(0);
	await closing;
	await Promise.all(gone);
	expect(sockets.map(({ destroyed }) => destroyed)).toEqual([true, true]);
	expect(clock.pending).toBe(0);
});
