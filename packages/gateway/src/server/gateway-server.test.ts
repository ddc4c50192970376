import { once } from "node:events";
import { firstOf, HealthTable, Lifetime, type Logger, silentLogger, systemClock } from "@warren/kernel";
import { HostTable, Listener } from "@warren/net";
import { openSqliteTables } from "@warren/store";
import { RawClient, SeededRandom, VirtualClock } from "@warren/testkit";
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { register, secretOf, TestMesh } from "../mesh.testing.ts";
import { GatewayServer } from "./gateway-server.ts";
import { type GatewayTables, gatewaySchema } from "./schema.ts";
import { openSqliteGatewayStore } from "./sqlite-gateway-store.ts";

const features = ["receipts", "ordered", "queue", "events", "interest"];

let lifetime: Lifetime;
let clock: VirtualClock;
let server: GatewayServer;
let listener: Listener;
/** What the gateway itself took for a fault of its own. */
let faults: string[];
/** The queues' file cannot be read. */
let unreadable: boolean;
beforeEach(async () => {
	lifetime = new Lifetime();
	clock = new VirtualClock();
	faults = [];
	unreadable = false;
	const logger: Logger = {
		...silentLogger,
		error: (event, facts) => void faults.push(`${event} ${JSON.stringify(facts)}`),
	};
	const tables = lifetime.own(await openSqliteTables<GatewayTables>(":memory:", [gatewaySchema]));
	const store = openSqliteGatewayStore(tables.statements, logger);
	const load = store.queues.load.bind(store.queues);
	store.queues.load = (...asked) => {
		if (unreadable) throw new Error("disk I/O error");
		return load(...asked);
	};
	server = new GatewayServer(
		{ clock, random: new SeededRandom(1), logger, health: new HealthTable(clock), store },
		{ invitation: null, maxConnections: 1000 },
	);
	lifetime.own(server);
	listener = await Listener.open(
		{ clock: systemClock, logger },
		{
			...{ role: "gateway", host: "127.0.0.1", port: 0, tls: null, hosts: new HostTable([]) },
			authenticator: firstOf(),
			routes: server.routes(),
		},
	);
	lifetime.own(listener);
});
afterEach(() => lifetime.close());

const url = () => `http://127.0.0.1:${listener.port}`;

/** A client frame (RFC 6455 §5.2), masked with zeros, so that its payload stands as it is. */
function frame(payload: string | Uint8Array, first = 0x81): Buffer {
	const bytes = Buffer.from(payload as string);
	const head =
		bytes.length < 126
			? Buffer.from([first, 0x80 | bytes.length])
			: Buffer.from([first, 0x80 | 126, bytes.length >> 8, bytes.length & 0xff]);
	return Buffer.concat([head, Buffer.alloc(4), bytes]);
}

const upgrade =
	"GET /gateway HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n";

/** A socket that says what the test says, and answers nothing by itself. */
async function bare(meshId: string | null = null): Promise<RawClient> {
	const client = await RawClient.open({ port: listener.port });
	client.send(upgrade);
	await client.until(/101 Switching Protocols[\s\S]*\r\n\r\n/);
	if (meshId === null) return client;
	client.send(frame(JSON.stringify({ type: "gateway_auth", meshId, secret: secretOf(meshId), features })));
	await client.until(/gateway_auth_ok/);
	return client;
}

describe("a gateway's sockets", () => {
	it("a mesh that went without a word is pinged, gone after 45 s, told to the others, and no receipt says delivered", async () => {
		const alive = await TestMesh.in(url(), "alive", { features: ["receipts", "events"] });
		await register(url(), { meshId: "silent", secret: secretOf("silent"), name: "silent" });
		using silent = await bare("silent");
		await alive.until(() => alive.of("gateway_joined").length > 0 || server.connected === 2);
		let turns = 0;
		for (let passedMs = 0; passedMs < 60_000; passedMs += 5_000) {
			for (let step = 0; step < 50; step++) await clock.advance(100);
			// Whatever was to be heard of it has been heard before its answer.
			alive.say({ type: "gateway_ping", token: `t${++turns}` });
			await alive.next("gateway_pong", turns);
			if (passedMs < 40_000) expect(server.connected).toBe(2);
		}
		expect(server.connected).toBe(1);
		expect(silent.seen).toContain("\x89\x00");
		await silent.closed();
		expect(await alive.next("gateway_left")).toMatchObject({ meshIds: ["silent"] });
		alive.say({ type: "gateway_relay", targetMeshId: "silent", payload: { a: 1 }, id: "m1" });
		await expect.poll(() => server.queued).toBe(1);
		await clock.advance(20);
		expect(await alive.next("gateway_receipt")).toMatchObject({ id: "m1", outcome: "queued" });
		await alive.close();
	});

	it("a queue that cannot be read costs its own mesh the connection, and nobody else theirs; later it is all there", async () => {
		const sender = await TestMesh.in(url(), "sender", { features: ["receipts"] });
		const away = await TestMesh.in(url(), "away", { features: ["queue"] });
		await away.close();
		await expect.poll(() => server.connected).toBe(1);
		sender.say({ type: "gateway_relay", targetMeshId: "away", payload: { hello: 1 }, id: "m1" });
		await expect.poll(() => server.queued).toBe(1);
		unreadable = true;
		const back = await TestMesh.in(url(), "away", { features: ["queue"] });
		expect((await back.closed).reason).toContain("cannot be read now");
		sender.say({ type: "gateway_ping", token: "t" });
		await sender.next("gateway_pong");
		unreadable = false;
		const again = await TestMesh.in(url(), "away", { features: ["queue"] });
		expect(await again.next("gateway_incoming")).toMatchObject({ payload: { hello: 1 } });
		await again.close();
		await sender.close();
	});

	const types = [
		...["gateway_auth", "gateway_relay", "gateway_broadcast", "gateway_ack", "gateway_interest", "gateway_access"],
		...["gateway_discover", "gateway_update_rooms", "gateway_update_participants", "gateway_ping", "gateway_pong"],
		...["gateway_auth_ok", "gateway_incoming", "__proto__", "constructor", ""],
	];
	const field = fc.oneof(fc.jsonValue({ maxDepth: 2 }), fc.string({ maxLength: 70 }), fc.nat(), fc.constant({}));
	const message = fc.oneof(
		fc.jsonValue({ maxDepth: 3 }),
		fc.record(
			{
				type: fc.constantFrom(...types),
				...{ payload: field, targetMeshId: fc.oneof(field, fc.constant("fuzz")), id: field, room: field, ttlMs: field },
				...{ count: field, rooms: field, allow: field, block: field, publicRooms: field, participants: field },
				...{ token: field, meshId: field, secret: field, features: field, nonce: field, signature: field },
			},
			{ requiredKeys: ["type"] },
		),
	);

	it("G5 G19 any JSON: each message that means nothing gets its error, or the socket its close, and the rest goes on", async () => {
		await register(url(), { meshId: "fuzz", secret: secretOf("fuzz"), name: "fuzz" });
		let run = 0;
		await fc.assert(
			fc.asyncProperty(fc.array(message, { minLength: 1, maxLength: 8 }), async (messages) => {
				// Each run has a minute of its own: what is counted by the minute begins anew.
				await clock.advance(61_000);
				using client = await bare("fuzz");
				const before = client.seen.length;
				for (const each of messages) client.send(frame(JSON.stringify(each)));
				const token = `end-${++run}`;
				client.send(frame(JSON.stringify({ type: "gateway_ping", token })));
				const gone = once(client.socket, "close");
				await Promise.race([client.until(new RegExp(`"token":"${token}"`)).catch(() => {}), gone]);
				const said = client.seen.slice(before);
				const isKept = said.includes(`"token":"${token}"`);
				// 0x88 is a close: it says why.
				expect(isKept || said.includes("\x88")).toBe(true);
				const meaningless = messages.filter(
					(each) =>
						typeof each !== "object" ||
						each === null ||
						Array.isArray(each) ||
						!types.slice(0, 11).includes(String((each as { type?: unknown }).type)),
				).length;
				if (isKept) expect(said.split('"type":"error"').length - 1).toBeGreaterThanOrEqual(meaningless);
				client.socket.end();
				await gone;
				expect(faults).toEqual([]);
			}),
			{ numRuns: 150 },
		);
		await served();
	});

	const bytes = fc.oneof(
		fc.uint8Array({ maxLength: 40 }).map((each) => Buffer.from(each)),
		fc
			.tuple(fc.integer({ min: 0, max: 255 }), fc.uint8Array({ maxLength: 300 }))
			.map(([first, payload]) => frame(payload, first)),
		fc
			.tuple(message, fc.constantFrom(0x81, 0x01, 0x00, 0x80))
			.map(([each, first]) => frame(JSON.stringify(each).slice(0, 60_000), first)),
	);

	it("G1 G6 G19 any bytes, before and after the login: nothing falls, nothing stays behind", async () => {
		await register(url(), { meshId: "fuzz", secret: secretOf("fuzz"), name: "fuzz" });
		await fc.assert(
			fc.asyncProperty(fc.boolean(), fc.array(bytes, { minLength: 1, maxLength: 8 }), async (isIn, pieces) => {
				await clock.advance(61_000);
				using client = await bare(isIn ? "fuzz" : null);
				const gone = once(client.socket, "close");
				for (const piece of pieces) client.send(piece);
				// Whatever is half said by now is never finished.
				client.socket.end();
				await gone;
				expect(faults).toEqual([]);
			}),
			{ numRuns: 200 },
		);
		await served();
	});

	/** Nobody of before is left, and two who come now are served. */
	async function served(): Promise<void> {
		await clock.advance(61_000);
		await expect.poll(() => server.connected).toBe(0);
		const one = await TestMesh.in(url(), "one");
		const other = await TestMesh.in(url(), "other");
		one.say({ type: "gateway_relay", targetMeshId: "other", payload: { hello: 1 } });
		expect(await other.next("gateway_incoming")).toMatchObject({ fromMeshId: "one", payload: { hello: 1 } });
		expect(server.connected).toBe(2);
		await one.close();
		await other.close();
	}
});
