import { createSocket } from "node:dgram";
import { once } from "node:events";
import type { ServerResponse } from "node:http";
import { type ClientHttp2Session, connect, constants } from "node:http2";
import { createServer, isIP } from "node:net";
import { text } from "node:stream/consumers";
import { freePort, fromPortZero, RawClient, VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { SharedState, TestBackbone } from "../backbone.testing.ts";
import { encodeCoded, FrameReader, FrameType, ResetCode } from "../protocol/frames.ts";
import { frameTypes, RawHttp2 } from "./http2/raw-frames.testing.ts";
import { streamLimits } from "./stream-ports.ts";

it("a service's port that somebody else has when the server starts is said, and taken once it is free", async () => {
	await using state = await SharedState.open();
	const port = await freePort();
	{
		await using before = await TestBackbone.open({ streamPorts: [port, port] }, state);
		await before.token("db", "tcp");
		const { json } = await before.api("GET", "/admin/api/services");
		expect(json.services).toMatchObject([{ port }]);
	}
	await using stranger = createServer((socket) => socket.end("a stranger"));
	await once(stranger.listen(port, "127.0.0.1"), "listening");
	const clock = new VirtualClock(Date.now());
	await using after = await TestBackbone.open({}, state, { clock });
	const target = await after.tcp((socket) => socket.end("the service"));
	await after.agent("db", target.port, { kind: "tcp" });
	const web = await after.http((_request, response) => response.end("ok"));
	await after.agent("web", web.port);
	const ask = () => RawClient.exchange({ port }, "").catch(() => "nobody");
	const conditions = async () => (await after.api("GET", "/admin/api/health")).json.conditions as { title: string }[];
	expect(await ask()).toBe("a stranger");
	expect(await conditions()).toMatchObject([
		{ code: "backbone-service-without-port", title: expect.stringMatching(`db .*EADDRINUSE.*${port}`) },
	]);
	// Nobody else waits for it.
	expect(await after.raw("GET / HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n\r\n")).toMatch(/ 200 /);
	await clock.advance(streamLimits.retryMs);
	expect([await ask(), (await conditions()).length]).toEqual(["a stranger", 1]);
	stranger.close();
	await once(stranger, "close");
	await clock.advance(streamLimits.retryMs);
	await expect.poll(ask).toBe("the service");
	expect(await conditions()).toEqual([]);
});

it("a UDP port that somebody else has leaves no socket behind, however often it is tried", async () => {
	await using state = await SharedState.open();
	const port = await freePort();
	{
		await using before = await TestBackbone.open({ streamPorts: [port, port] }, state);
		await before.token("dns", "udp");
		expect((await before.api("GET", "/admin/api/services")).json.services).toMatchObject([{ port }]);
	}
	const stranger = createSocket("udp4").bind(port, "127.0.0.1");
	await once(stranger, "listening");
	const clock = new VirtualClock(Date.now());
	await using after = await TestBackbone.open({}, state, { clock });
	const sockets = () => process.getActiveResourcesInfo().filter((each) => /^UDP/i.test(each)).length;
	const conditions = async () => (await after.api("GET", "/admin/api/health")).json.conditions as unknown[];
	const before = sockets();
	for (let tries = 0; tries < 5; tries++) {
		await clock.advance(streamLimits.retryMs);
	}
	expect(await conditions()).toHaveLength(1);
	expect(sockets()).toBeLessThanOrEqual(before);
	stranger.close();
	await once(stranger, "close");
	await clock.advance(streamLimits.retryMs);
	await expect.poll(conditions).toEqual([]);
});

it("a datagram from port 0, where nothing can be sent, goes nowhere and harms nobody", async () => {
	await using backbone = await TestBackbone.open();
	const heard: string[] = [];
	const echo = createSocket("udp4").bind(0, "127.0.0.1");
	await once(echo, "listening");
	echo.on("message", (datagram, { port, address }) => {
		heard.push(String(datagram));
		echo.send(datagram, port, address);
	});
	await backbone.agent("dns", echo.address().port, { kind: "udp" });
	const { port } = (await backbone.api("GET", "/admin/api/services")).json.services[0];
	const client = createSocket("udp4");
	{
		using zero = fromPortZero(port);
		client.send("nobody's", port, "127.0.0.1");
		await expect.poll(() => zero.arrived).toBe(1);
		expect(zero.faults).toEqual([]);
	}
	client.send("hers", port, "127.0.0.1");
	const [answer] = await once(client, "message");
	expect([String(answer), heard]).toEqual(["hers", ["hers"]]);
	client.close();
	echo.close();
});

/** An agent of a UDP service that dials no link by itself. */
async function rudeAgent(clock: VirtualClock) {
	const server = await TestBackbone.open({}, undefined, { clock });
	const token = await server.token("dns", "udp");
	const { port } = (await server.api("GET", "/admin/api/services")).json.services[0] as { port: number };
	const park = async () => {
		const client = await server.client();
		client.send(
			`GET /tunnel HTTP/1.1\r\nHost: mos.test\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\nAuthorization: Bearer ${token}\r\nx-warren-agent: rude-agent\r\n\r\n`,
		);
		await client.until(/"pingMs":\d+\}/);
		return client;
	};
	return { server, port, park, [Symbol.asyncDispose]: () => server[Symbol.asyncDispose]() };
}

async function source() {
	const socket = createSocket("udp4").bind(0, "127.0.0.1");
	await once(socket, "listening");
	return socket;
}

it.each([
	["127.0.0.1", "127.0.0.1"],
	["0.0.0.0", "127.0.0.1"],
	["localhost", "127.0.0.1"],
	["0:0:0:0:0:0:0:1", "::1"],
])("what a stranger sends to the agent's own port is no answer of its target at %s", async (host, bound) => {
	await using backbone = await TestBackbone.open();
	const kind = isIP(bound) === 6 ? "udp6" : "udp4";
	const service = createSocket(kind).bind(0, bound);
	const stranger = createSocket(kind).bind(0, bound);
	await Promise.all([once(service, "listening"), once(stranger, "listening")]);
	const target = { host, port: service.address().port, proxyProtocol: false };
	await backbone.agent("dns", target.port, { kind: "udp", target });
	const { port } = (await backbone.api("GET", "/admin/api/services")).json.services[0];
	const client = createSocket("udp4");
	const heard: string[] = [];
	client.on("message", (datagram) => heard.push(String(datagram)));
	client.send("question", port, "127.0.0.1");
	const [, agent] = await once(service, "message");
	await new Promise<void>((resolve) => stranger.send("forged", agent.port, bound, () => resolve()));
	service.send("answer", agent.port, bound);
	await expect.poll(() => heard).toEqual(["answer"]);
	for (const each of [service, stranger, client]) each.close();
});

it("empty datagrams keep no more than so many of them waiting for a link", async () => {
	await using agent = await rudeAgent(new VirtualClock(Date.now()));
	const { port } = agent;
	using first = await agent.park();
	await using served = await source();
	await using waits = await source();
	served.send("0;", port, "127.0.0.1");
	await first.until(/0;/);
	const { maxWaiting } = streamLimits;
	for (let sent = 1; sent <= maxWaiting + 100; sent++) {
		waits.send("", port, "127.0.0.1");
		if (sent % 50 !== 0) continue;
		// Received after those: nothing is lost for want of room on the way.
		served.send(`${sent};`, port, "127.0.0.1");
		await first.until(new RegExp(`${sent};`));
	}
	using second = await agent.park();
	await second.until(/"kind":"udp"/);
	waits.send("last", port, "127.0.0.1");
	const seen = await second.until(/last/);
	let data = 0;
	const sink = { reading: true, onData: () => void (data += 1), onControl: () => {} };
	const frames = Buffer.from(seen.slice(seen.indexOf("\r\n\r\n") + 4), "latin1");
	expect(new FrameReader().feed(frames, sink)).toBe(null);
	expect(data).toBe(maxWaiting + 1);
});

it("a source of datagrams that is refused leaves no timer behind", async () => {
	const clock = new VirtualClock(Date.now());
	await using agent = await rudeAgent(clock);
	using link = await agent.park();
	const before = clock.pending;
	await using client = await source();
	for (let turn = 1; turn <= 3; turn++) {
		client.send(`${turn};`, agent.port, "127.0.0.1");
		await link.until(new RegExp(`${turn};`));
		link.send(encodeCoded(FrameType.reset, ResetCode.refused, "no"));
		// Answered in kind.
		await link.until(new RegExp(`(\\x03\\x00\\x00\\x02[\\s\\S]*){${turn}}`));
	}
	expect(clock.pending).toBe(before);
});

it("a port that a service gives back is free at once, whoever is still connected to it, and no agent waits for them", async () => {
	await using backbone = await TestBackbone.open();
	const { port } = await backbone.http((_request, response) => response.end("ok"));
	await backbone.agent("web", port);
	const own = await freePort();
	const change = (to: number | null) => backbone.api("PATCH", "/admin/api/services/web", { body: { port: to } });
	expect((await change(own)).status).toBe(200);
	using idle = await RawClient.open({ port: own });
	const asked = `GET / HTTP/1.1\r\nHost: web.mos.test:${own}\r\n\r\n`;
	idle.send(asked);
	await idle.until(/ok/);
	using http2 = await RawHttp2.open(own);
	await http2.until(({ type }) => type === frameTypes.settings);
	expect((await change(null)).status).toBe(200);
	await idle.closed();
	const other = await backbone.agent("other", port);
	expect(other.status.state).toBe("online");
	await using taken = createServer();
	await once(taken.listen(own, "127.0.0.1"), "listening");
});

it("an HTTP/2 client on a port that is given back is sent away; what runs on it is answered whole", async () => {
	await using backbone = await TestBackbone.open();
	const asked = Promise.withResolvers<ServerResponse>();
	const { port } = await backbone.http((_request, response) => {
		response.write("begun, ");
		asked.resolve(response);
	});
	await backbone.agent("web", port);
	const own = await freePort();
	const change = (to: number | null) => backbone.api("PATCH", "/admin/api/services/web", { body: { port: to } });
	expect((await change(own)).status).toBe(200);
	const [client, elsewhere] = [own, backbone.port].map((each) => connect(`http://127.0.0.1:${each}`)) as [
		ClientHttp2Session,
		ClientHttp2Session,
	];
	let wasSentAway = false;
	elsewhere.once("goaway", () => (wasSentAway = true));
	await once(elsewhere, "remoteSettings");
	const running = client.request({ ":path": "/", ":authority": "web.mos.test" });
	const response = await asked.promise;
	const [away, over] = [once(client, "goaway"), once(client, "close")];
	expect((await change(null)).status).toBe(200);
	expect((await away)[0]).toBe(constants.NGHTTP2_NO_ERROR);
	response.end("and ended");
	expect(await text(running)).toBe("begun, and ended");
	await over;
	// Those of another port stay.
	await new Promise<void>((resolve) => elsewhere.ping(() => resolve()));
	expect(wasSentAway).toBe(false);
	elsewhere.destroy();
});
