import { once } from "node:events";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { silentLogger, systemClock } from "@warren/kernel";
import { RawClient } from "@warren/testkit";
import { expect, it } from "vitest";
import { TestBackbone } from "../backbone.testing.ts";
import { encodeFrame, FrameType } from "../protocol/frames.ts";
import { parseRequestHead, type RequestHead } from "../protocol/request-head.ts";
import { AgentPool } from "./agents/agent-pool.ts";
import { TunnelEndpoint } from "./tunnel-endpoint.ts";

/** An endpoint that finds out where a service is reached once the test says so. */
async function endpointOf(backbone: TestBackbone) {
	const pool = new AgentPool(
		() => 0,
		() => {},
	);
	let asked = () => {};
	let tell = () => {};
	const isAsked = new Promise<void>((resolve) => (asked = resolve));
	const told = new Promise<void>((resolve) => (tell = resolve));
	const endpoint = new TunnelEndpoint({
		...{ clock: systemClock, logger: silentLogger, services: backbone.backbone.services, pool },
		urlOf: async () => {
			asked();
			await told;
			return "tcp://db";
		},
		isDraining: () => false,
	});
	const token = await backbone.token("db", "tcp");
	const head = parseRequestHead(
		`GET /tunnel HTTP/1.1\r\nHost: mos.test\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\nAuthorization: Bearer ${token}\r\nx-warren-agent: agent-0001\r\n\r\n`,
	) as RequestHead;
	const arrived = Promise.withResolvers<Socket>();
	const server = createServer({ pauseOnConnect: true }, (socket) => arrived.resolve(socket)).listen(0, "127.0.0.1");
	await once(server, "listening");
	const client = await RawClient.open({ port: (server.address() as AddressInfo).port });
	const socket = await arrived.promise;
	return { pool, endpoint, head, client, socket, isAsked, tell, [Symbol.dispose]: () => server.close() };
}

it("an agent that leaves while its service's address is sought costs nobody else anything", async () => {
	await using backbone = await TestBackbone.open();
	using at = await endpointOf(backbone);
	const left = new Promise((resolve) => at.client.socket.once("close", resolve));
	at.client.socket.resetAndDestroy();
	await left;
	const closed = new Promise((resolve) => at.socket.once("close", resolve));
	// It hears of that when it answers.
	expect(at.endpoint.upgrade(at.socket, at.head, null, "127.0.0.1")).toBe(true);
	await at.isAsked;
	await closed;
	at.tell();
	await new Promise(setImmediate);
	expect(at.pool.of("db").agents).toEqual([]);
});

it.each([
	[
		"token",
		async (backbone: TestBackbone) => {
			for (const { id } of await backbone.backbone.services.tokens()) await backbone.backbone.services.revokeToken(id);
		},
	],
	["service", (backbone: TestBackbone) => backbone.backbone.services.remove("db")],
] as const)("I7: an agent whose %s is taken away while it is let in gets no link", async (_what, takeAway) => {
	await using backbone = await TestBackbone.open();
	using at = await endpointOf(backbone);
	at.endpoint.upgrade(at.socket, at.head, null, "127.0.0.1");
	await at.isAsked;
	await takeAway(backbone);
	at.tell();
	expect(await at.client.closed()).not.toContain("pingMs");
	expect(at.pool.of("db").agents).toEqual([]);
});

it("I7: a link that came with another token of its service ends with that token, whatever agent it says it is of", async () => {
	await using backbone = await TestBackbone.open();
	const { services } = backbone.backbone;
	const links = [];
	const ids = [];
	for (let each = 0; each < 2; each++) {
		const { token, row } = await services.createToken("web", { by: "test" });
		ids.push(row.id);
		const client = await backbone.client();
		client.send(
			`GET /tunnel HTTP/1.1\r\nHost: mos.test\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\nAuthorization: Bearer ${token}\r\nx-warren-agent: agent-0001\r\n\r\n`,
		);
		await client.until(/"pingMs"/);
		links.push(client);
	}
	const [kept, cut] = links as [RawClient, RawClient];
	await services.revokeToken(ids[1] as string);
	await cut.closed();
	kept.send(encodeFrame(FrameType.ping, "12345678"));
	await kept.until(/12345678/);
	kept.socket.destroy();
});
