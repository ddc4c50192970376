import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { encodeUpdate } from "@warren/sync/protocol";
import {
	faultRelay,
	freePort,
	noNats,
	noPostgres,
	startCommand,
	TestNats,
	TestPostgres,
	tempFolder,
} from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import * as Y from "yjs";
import { documentsSuite, edit } from "./documents.contract.ts";
import { bearer, openEdge, openNodeHub, WireClient } from "./edge.testing.ts";

/** The runtime starts as fast as the machine lets it. */
const patient = { timeout: 120_000 };

documentsSuite("on Workers", openEdge);
documentsSuite("at a Node hub", openNodeHub);

const reason = noPostgres();
describe.skipIf(reason !== null)(
	"a hub on Workers whose tables stand in PostgreSQL (skipped where it is not installed)",
	patient,
	() => {
		let server: TestPostgres;
		beforeAll(async () => {
			server = new TestPostgres({ port: await freePort() });
		}, patient.timeout);
		afterAll(() => server?.[Symbol.dispose]());
		const bindings = (database: string, secret = "a-secret-that-belongs-to-these-tables") => ({
			WARREN_DATABASE: `postgres://${server.user}@127.0.0.1:${server.port}/${database}`,
			WARREN_SECRET: secret,
		});

		documentsSuite("on Workers, listed in PostgreSQL", () => openEdge({ bindings: bindings(server.createDatabase()) }));

		it("has its people and documents after its object was lost, and is nobody's without its secret", async () => {
			const database = server.createDatabase();
			let token: string;
			{
				await using before = await openEdge({ bindings: bindings(database) });
				token = await before.owner();
				using one = await new WireClient(before, "kept", token).sync();
				one.send(encodeUpdate(edit("x")));
				await one.until(() => one.durable === 1);
			}
			await using after = await openEdge({ bindings: bindings(database) });
			const { body } = await after.call("GET", "/me", undefined, bearer(token));
			expect(body.user.email).toBe("ada@example.test");
			const { body: list } = await after.call("GET", "/rooms", undefined, bearer(token));
			expect(list.rooms.map((each: { id: string }) => each.id)).toEqual(["kept"]);
			await using foreign = await openEdge({ bindings: bindings(database, "another-secret-that-is-long-enough") });
			expect((await foreign.call("GET", "/")).status).toBe(503);
		});

		it("lets no Node hub in, whatever it knows", async (context) => {
			const without = noNats();
			context.skip(without !== null, without ?? "");
			const database = server.createDatabase();
			await using edge = await openEdge({ bindings: bindings(database) });
			expect((await edge.call("GET", "/")).status).toBe(200);
			await using nats = await TestNats.start();
			using home = tempFolder("edge-node");
			const data = join(home.path, "data");
			mkdirSync(data, { mode: 0o700 });
			writeFileSync(join(data, "hub.secret"), bindings(database).WARREN_SECRET, { mode: 0o600 });
			await using node = startCommand(["hub", "--http", "--host", "127.0.0.1", "--port", "0", "--json"], {
				home: home.path,
				env: {
					WARREN_DATABASE: bindings(database).WARREN_DATABASE,
					WARREN_NATS: `nats://127.0.0.1:${nats.port}`,
				},
			});
			expect(await node.exited).toBe(1);
			expect(node.log()).toContain("has the hub.secret of another installation");
		});

		it("answers 503 while the database is away or silent, keeps documents open, and goes on by itself", async () => {
			await using relay = await faultRelay({ host: "127.0.0.1", port: server.port });
			const database = `postgres://${server.user}@127.0.0.1:${relay.port}/${server.createDatabase()}`;
			await using edge = await openEdge({ bindings: { ...bindings(""), WARREN_DATABASE: database } });
			const ada = await edge.owner();
			using one = await new WireClient(edge, "steady", ada).sync();
			const me = async () => (await edge.call("GET", "/me", undefined, bearer(ada))).status;
			const several = () => Promise.all(Array.from({ length: 8 }, me));
			for (let times = 0; times < 2; times++) {
				expect(new Set(await several())).toEqual(new Set([200]));
				server.kill();
				expect(new Set(await several())).toEqual(new Set([503]));
				server.restart();
				await expect.poll(me, { timeout: 60_000 }).toBe(200);
			}
			relay.faults.stalled = true;
			expect(await me()).toBe(503);
			one.send(encodeUpdate(edit("meanwhile")));
			await one.until(() => one.durable === 1);
			relay.faults.stalled = false;
			await expect.poll(me, { timeout: 60_000 }).toBe(200);
			await relay.close();
			expect(await me()).toBe(503);
		});

		it("never begins anew beside what it has: whoever takes the database away, or brings one, is refused", async () => {
			const status = async (folder: string, more: Readonly<Record<string, string>>) => {
				await using edge = await openEdge({ folder, bindings: more });
				return (await edge.call("GET", "/")).status;
			};
			using inDatabase = tempFolder("edge");
			const there = bindings(server.createDatabase());
			expect(await status(inDatabase.path, there)).toBe(200);
			expect(await status(inDatabase.path, {})).toBe(503);
			expect(await status(inDatabase.path, there)).toBe(200);
			using inObject = tempFolder("edge");
			expect(await status(inObject.path, {})).toBe(200);
			expect(await status(inObject.path, bindings(server.createDatabase()))).toBe(503);
			expect(await status(inObject.path, {})).toBe(200);
		});
	},
);

it("machines are refused in words: there is no authority here that could certify them", patient, async () => {
	await using edge = await openEdge();
	const ada = await edge.owner();
	const invited = await edge.call("POST", "/v1/invites", {}, bearer(ada));
	expect([invited.status, invited.body.error]).toEqual([409, "no_authority"]);
	expect(invited.body.fix).toContain("warren hub");
	const facts = { name: "attic", hosts: ["attic.local"], port: 5151 };
	const joined = await edge.call("POST", "/v1/join", { secret: "x".repeat(30), csr: "x", ...facts });
	expect([joined.status, joined.body.error]).toEqual([409, "no_authority"]);
	expect((await edge.call("GET", "/v1/machines", undefined, bearer(ada))).body).toEqual({ machines: [] });
	const made = await edge.call("POST", "/v1/join-tokens", { name: "lab" }, bearer(ada));
	expect(made.status, "the overlay's join tokens need none").toBe(201);
	const valid = await edge.call("POST", "/v1/validate", { token: made.body.token });
	expect(valid.body).toMatchObject({ valid: true, subject: "lab" });
});

it("a hub that is configured wrongly answers 503 and tells a visitor nothing of it", patient, async () => {
	await using edge = await openEdge({ bindings: { WARREN_SETUP: "short" } });
	const { status, body } = await edge.call("GET", "/");
	expect([status, body.error]).toEqual([503, "unavailable"]);
	expect(JSON.stringify(body)).not.toMatch(/WARREN_SETUP|short/);
});

it("everything acknowledged is there after the runtime was stopped and started", patient, async () => {
	using folder = tempFolder("edge");
	let token: string;
	{
		await using before = await openEdge({ folder: folder.path });
		token = await before.owner();
		using one = await new WireClient(before, "kept", token).sync();
		const doc = new Y.Doc();
		for (let count = 1; count <= 20; count++) one.send(encodeUpdate(edit(`${count} `, doc)));
		await one.until(() => one.durable === 20);
	}
	await using after = await openEdge({ folder: folder.path });
	using other = await new WireClient(after, "kept", token).sync();
	expect(other.text).toBe(Array.from({ length: 20 }, (_, at) => `${at + 1} `).join(""));
});

it(
	"a room that slept goes on where it was: no first sync, counts and presence as before (S22)",
	patient,
	async (context) => {
		context.skip(process.env["WARREN_LONG_TESTS"] !== "1", "the runtime puts a room to sleep after ten quiet seconds");
		await using edge = await openEdge();
		const ada = await edge.owner();
		const opened = async () => (await edge.call("GET", "/~opened")).body as number;
		using writer = await new WireClient(edge, "sleepy", ada).sync();
		using reader = await new WireClient(edge, "sleepy", ada).sync();
		const doc = new Y.Doc();
		writer.send(encodeUpdate(edit("before ", doc)));
		await Promise.all([writer.until(() => writer.durable === 1), reader.until(() => reader.text === "before ")]);
		const before = await opened();
		const heard = reader.frames.length;
		await new Promise((resolve) => setTimeout(resolve, 25_000));
		writer.send(encodeUpdate(edit("after", doc)));
		await Promise.all([writer.until(() => writer.durable === 2), reader.until(() => reader.text === "before after")]);
		expect(await opened(), "it came into memory anew").toBe(before + 1);
		expect(reader.frames.length, "nothing but the update was said").toBe(heard + 1);
	},
);
