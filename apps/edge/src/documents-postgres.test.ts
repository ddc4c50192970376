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
import { documentsSuite, edit } from "./documents.contract.ts";
import { bearer, openEdge, WireClient } from "./edge.testing.ts";

/** The runtime starts as fast as the machine lets it. */
const patient = { timeout: 240_000 };

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

		it("that cannot reach its database at the start has begun nothing, and opens once it can", async () => {
			const database = server.createDatabase();
			server.kill();
			await using edge = await openEdge({ bindings: bindings(database) });
			const status = async () => (await edge.call("GET", "/")).status;
			expect(await status()).toBe(503);
			server.restart();
			await expect.poll(status, { timeout: 60_000 }).toBe(200);
			expect(await edge.owner()).toMatch(/^.{20,}$/);
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
			{
				await using edge = await openEdge({ folder: inObject.path });
				await edge.owner();
			}
			expect(await status(inObject.path, bindings(server.createDatabase()))).toBe(503);
			expect(await status(inObject.path, {})).toBe(200);
			// Asked once before it was given a database, and by nobody who has an account.
			using empty = tempFolder("edge");
			expect(await status(empty.path, {})).toBe(200);
			expect(await status(empty.path, bindings(server.createDatabase()))).toBe(200);
		});
	},
);
