import { createHash } from "node:crypto";
import { createSocket } from "node:dgram";
import { once } from "node:events";
import { silentLogger, systemClock } from "@warren/kernel";
import { RawClient, VirtualClock } from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { Forwarder } from "../agent/forwarder.ts";
import { TestBackbone } from "../backbone.testing.ts";

let backbone: TestBackbone;
beforeEach(async () => {
	backbone = await TestBackbone.open();
});
afterEach(() => backbone[Symbol.asyncDispose]());

const key = "AAAAAAAAAAAAAAAAAAAAAA==";
const accept = createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");

/** A service: `/stream` gives a first piece and stays open, an upgrade becomes a WebSocket that greets. */
async function serve(): Promise<number> {
	const { port } = await backbone.tcp((socket) => {
		let upgraded = false;
		socket.on("data", (bytes) => {
			const text = bytes.toString("latin1");
			if (upgraded) return void socket.write(bytes);
			upgraded = /upgrade: websocket/i.test(text);
			if (upgraded)
				socket.write(
					`HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: ${accept}\r\n\r\nhello`,
				);
			else if (text.startsWith("GET"))
				socket.write("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n");
		});
	});
	return port;
}

const upgradeFields = `Connection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: ${key}\r\n`;

/** Opens a stream or WebSocket that runs on, and waits for its first bytes. */
async function running(credential: string | null, webSocket: boolean, target = "/"): Promise<RawClient> {
	const client = await backbone.client();
	const identity = credential === null ? "" : `x-backbone-principal: ${credential}\r\n`;
	client.send(`GET ${target} HTTP/1.1\r\nHost: web.mos.test\r\n${identity}${webSocket ? upgradeFields : ""}\r\n`);
	await client.until(/hello/);
	return client;
}

let words = 0;
/** There and back: it still carries. */
async function carries(client: RawClient): Promise<void> {
	const word = `word-${++words};`;
	client.send(word);
	await client.until(new RegExp(word));
}

async function cutBy(client: RawClient, act: () => Promise<unknown>): Promise<void> {
	await act();
	await client.closed();
}

const ways: [string, (id: string, credential: string) => Promise<unknown>][] = [
	[
		"rotating the credential",
		(_id, credential) =>
			backbone.api("POST", "/principals/rotate", { admin: false, headers: { "x-backbone-principal": credential } }),
	],
	["revoking the principal", (id) => backbone.api("DELETE", `/admin/api/principals/${id}`)],
	["removing the grant", (id) => backbone.api("DELETE", `/admin/api/grants/${id}/web`)],
];

describe("I7: what was taken away ends what runs", () => {
	it.each(ways)("%s cuts WebSockets and answers, of that principal at that service alone", async (_name, way) => {
		await backbone.agent("web", await serve());
		const other = await backbone.principal("web");
		using kept = await running(other.credential, true);
		using anonymous = await running(null, true);
		for (const webSocket of [true, false]) {
			const { id, credential } = await backbone.principal("web");
			using client = await running(credential, webSocket);
			await cutBy(client, () => way(id, credential));
		}
		// A further grant and a limit take nothing away.
		await backbone.token("second");
		await backbone.backbone.principals.grant(other.id, "second", "test");
		await backbone.api("PATCH", `/admin/api/principals/${other.id}`, { body: { limits: { bytes_per_second: 1e9 } } });
		await carries(kept);
		await carries(anonymous);
	});

	it("taking away another service's grant leaves this one alone", async () => {
		await backbone.agent("web", await serve());
		await backbone.token("second");
		const { id, credential } = await backbone.principal("web", "second");
		using kept = await running(credential, true);
		await backbone.api("DELETE", `/admin/api/grants/${id}/second`);
		await carries(kept);
		await cutBy(kept, () => backbone.api("DELETE", `/admin/api/grants/${id}/web`));
	});

	it("a service that begins to require identity, or to refuse an address, cuts whom it would not let in", async () => {
		await backbone.agent("web", await serve());
		const { credential } = await backbone.principal("web");
		const set = (settings: object) => backbone.api("PATCH", "/admin/api/services/web", { body: { settings } });
		using anonymous = await running(null, true);
		using known = await running(credential, true);
		await cutBy(anonymous, () => set({ require_identity: true }));
		await carries(known);
		await cutBy(known, () => set({ deny: ["127.0.0.0/8"] }));
	});

	it("a WebSocket that a URL token opened ends with the token", async () => {
		const clock = new VirtualClock();
		await backbone[Symbol.asyncDispose]();
		backbone = await TestBackbone.open({}, undefined, { clock });
		await backbone.agent("web", await serve());
		const { credential } = await backbone.principal("web");
		const { json } = await backbone.api("POST", "/url-tokens", {
			admin: false,
			headers: { "x-backbone-principal": credential },
			body: { service: "web", expires_in: 60 },
		});
		using client = await running(null, true, `/?_mosb=${json.token}`);
		await clock.advance(50_000);
		await carries(client);
		await clock.advance(60_000);
		await client.closed();
	});

	it("a visitor's forward is cut with its grant, and does not come back", async () => {
		const { port } = await backbone.tcp((socket) => socket.write("hello"));
		await backbone.agent("db", port, { kind: "tcp" });
		const { id, credential } = await backbone.principal("db");
		const opened = await Forwarder.open(
			{ clock: systemClock, logger: silentLogger },
			{
				target: { url: new URL(`http://127.0.0.1:${backbone.port}`), tls: {} },
				...{ service: "db", credential, host: "127.0.0.1", port: 0 },
			},
		);
		if (!opened.ok) throw new Error(opened.message);
		using client = await RawClient.open({ port: opened.forwarder.port });
		await client.until(/hello/);
		await cutBy(client, () => backbone.api("DELETE", `/admin/api/grants/${id}/db`));
		using again = await RawClient.open({ port: opened.forwarder.port });
		expect(await again.closed()).toBe("");
		await opened.forwarder.close();
	});

	it("a service token cuts TCP connections and UDP visitors of its agent; an address rule those of the address", async () => {
		const { port } = await backbone.tcp((socket) => socket.write("hello"));
		const token = await backbone.token("db", "tcp");
		await backbone.agent("db", port, { token });
		const portOf = async (name: string) => {
			const { services } = (await backbone.api("GET", "/admin/api/services")).json as {
				services: { service: string; port: number }[];
			};
			return services.find(({ service }) => service === name)?.port as number;
		};
		const dial = async () => {
			const client = await RawClient.open({ port: await portOf("db") });
			await client.until(/hello/);
			return client;
		};
		using refused = await dial();
		const set = (name: string, settings: object) =>
			backbone.api("PATCH", `/admin/api/services/${name}`, { body: { settings } });
		await cutBy(refused, () => set("db", { deny: ["127.0.0.0/8"] }));
		await set("db", { deny: [] });
		using client = await dial();
		await cutBy(client, async () => {
			const { json } = await backbone.api("GET", "/admin/api/tokens");
			await backbone.api("DELETE", `/admin/api/tokens/${json.tokens[0].id}`);
		});

		const echo = createSocket("udp4");
		echo.on("message", (bytes, from) => echo.send(bytes, from.port, from.address));
		echo.bind(0, "127.0.0.1");
		await once(echo, "listening");
		await backbone.agent("dns", echo.address().port, { kind: "udp" });
		const visitor = createSocket("udp4");
		const udpPort = await portOf("dns");
		visitor.send("one", udpPort, "127.0.0.1");
		expect(String((await once(visitor, "message"))[0])).toBe("one");
		const busy = async () =>
			(await backbone.api("GET", "/admin/api/services")).json.services.find(
				({ service }: { service: string }) => service === "dns",
			).agents[0].busy as number;
		expect(await busy()).toBe(1);
		await set("dns", { deny: ["127.0.0.0/8"] });
		await expect.poll(busy).toBe(0);
		await set("dns", { deny: [] });
		const back = once(visitor, "message");
		visitor.send("three", udpPort, "127.0.0.1");
		expect(String((await back)[0])).toBe("three");
		visitor.close();
		echo.close();
	});

	/** Holds what is read of grants, as slow tables do, until it is let go. */
	function slowGrants() {
		const { principals } = backbone.backbone;
		const read = principals.isGranted.bind(principals);
		const asked = Promise.withResolvers<void>();
		const held = Promise.withResolvers<void>();
		principals.isGranted = async (id, service) => {
			const found = await read(id, service);
			asked.resolve();
			await held.promise;
			return found;
		};
		return { asked: asked.promise, letGo: () => held.resolve() };
	}

	it.each(ways)("%s while whoever comes is looked up lets nobody in", async (_name, way) => {
		await backbone.agent("web", await serve());
		const { id, credential } = await backbone.principal("web");
		const { json } = await backbone.api("POST", "/url-tokens", {
			admin: false,
			headers: { "x-backbone-principal": credential },
			body: { service: "web", expires_in: 60 },
		});
		const grants = slowGrants();
		const come = async (target: string, identity: string) => {
			using client = await backbone.client();
			client.send(`GET ${target} HTTP/1.1\r\nHost: web.mos.test\r\nConnection: close\r\n${identity}\r\n`);
			return await client.until(/^HTTP\/1\.1 \d+ [^]*\r\n/);
		};
		const coming = [come("/", `x-backbone-principal: ${credential}\r\n`), come(`/?_mosb=${json.token}`, "")];
		await grants.asked;
		await way(id, credential);
		grants.letGo();
		for (const answer of await Promise.all(coming)) expect(answer).toMatch(/^HTTP\/1\.1 40[13]/);
	});

	it("a service that changes while whoever comes is looked up is judged as it is then", async () => {
		const { port } = await backbone.tcp((socket) => void socket.write("hello"));
		await backbone.agent("web", await serve());
		await backbone.agent("db", port, { kind: "tcp" });
		const { credential } = await backbone.principal("web", "db");
		const grants = slowGrants();
		using request = await backbone.client();
		request.send(`GET / HTTP/1.1\r\nHost: web.mos.test\r\nx-backbone-principal: ${credential}\r\n\r\n`);
		using visitor = await backbone.client();
		visitor.send(
			`GET /forward/db HTTP/1.1\r\nHost: mos.test\r\nConnection: Upgrade\r\nUpgrade: warren-tunnel\r\nx-backbone-principal: ${credential}\r\n\r\n`,
		);
		await grants.asked;
		for (const name of ["web", "db"])
			await backbone.api("PATCH", `/admin/api/services/${name}`, { body: { settings: { deny: ["127.0.0.0/8"] } } });
		grants.letGo();
		expect(await request.until(/^HTTP\/1\.1 \d+/)).toContain("403");
		expect(await visitor.until(/^HTTP\/1\.1 \d+/)).toContain("403");
	});

	it("what is taken away between a judgement and what it lets begin is cut", async () => {
		await backbone.agent("web", await serve());
		const { principals } = backbone.backbone;
		const read = principals.isGranted.bind(principals);
		const { id, credential } = await backbone.principal();
		for (let turns = 0; turns < 40; turns++) {
			await principals.grant(id, "web", "test");
			let gone: Promise<unknown> = Promise.resolve();
			principals.isGranted = async (who, service) => {
				const found = await read(who, service);
				gone = principals.revokeGrant(id, "web");
				for (let turn = 0; turn < turns; turn++) await Promise.resolve();
				return found;
			};
			using client = await backbone.client();
			client.send(
				`GET / HTTP/1.1\r\nHost: web.mos.test\r\nx-backbone-principal: ${credential}\r\n${upgradeFields}\r\n`,
			);
			// Refused, or cut: nothing runs on.
			const refusal = client.until(/^HTTP\/1\.1 40[13]/);
			await Promise.any([refusal, client.closed()]);
			await gone;
		}
	});
});
