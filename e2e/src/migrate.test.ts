import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
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
import { Client } from "pg";
import { fetch } from "undici";
import { describe, expect, it } from "vitest";
import { SyncClient } from "./sync-client.ts";

const reason = noPostgres() ?? noNats();
const local = ["hub", "--http", "--host", "127.0.0.1", "--port", "0", "--json"];
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };

describe.skipIf(reason !== null)("warren migrate (skipped where PostgreSQL or nats-server is not installed)", () => {
	it("moves a hub into a database and back, killed in between; sessions and documents are the same on every side", async () => {
		using postgres = new TestPostgres({ port: await freePort() });
		await using nats = await TestNats.start();
		await using toDatabase = await faultRelay({ host: "127.0.0.1", port: postgres.port });
		using folder = tempFolder("migrate");
		const home = folder.path;
		const database = postgres.createDatabase();
		// As in the examples: other roles' tables are in the same database.
		const shared = new Client({ host: "127.0.0.1", port: postgres.port, user: postgres.user, database });
		await shared.connect();
		await shared.query("create table backbone_services (name text primary key)");
		await shared.end();
		const backends = [
			...["--database", `postgres://${postgres.user}@127.0.0.1:${toDatabase.port}/${database}`],
			...["--nats", `nats://127.0.0.1:${nats.port}`],
		];
		let token = "";
		const migrate = (to: string) => startCommand(["migrate", "--to", to, "--json", ...backends], { home });
		/** Starts a hub, does something with it, and stops it. */
		const withHub = async <T>(
			more: readonly string[],
			work: (origin: string, setup: string) => Promise<T>,
		): Promise<T> => {
			const hub = startCommand([...local, ...more], { home });
			try {
				const ready = await hub.line<{ url: string; setupUrl: string | null }>();
				const origin = `http://127.0.0.1:${new URL(ready.url).port}`;
				return await work(origin, ready.setupUrl?.split("#setup=")[1] ?? "");
			} finally {
				await hub.kill("SIGTERM");
			}
		};
		const content = async (origin: string) => {
			using client = new SyncClient([origin], 0, "plan", token);
			await client.until(() => client.keys.size >= 300);
			return [...client.keys].sort();
		};
		const expected = Array.from({ length: 300 }, (_, index) => `k${index}`).sort();

		await withHub([], async (origin, setup) => {
			const signed = await fetch(`${origin}/auth/signup`, {
				method: "POST",
				headers: { "content-type": "application/json", "x-warren-setup": setup },
				body: JSON.stringify(person),
			});
			token = ((await signed.json()) as { token: string }).token;
			using client = new SyncClient([origin], 0, "plan", token);
			for (let index = 0; index < 300; index++) {
				await client.until(() => client.unacknowledged < 8);
				client.set(`k${index}`);
			}
			await client.until(() => client.unacknowledged === 0);
		});

		/** Its first lines are about tables: it is in the middle, and gets no further than this process lets its words pass. */
		const killedInBetween = async (to: string) => {
			toDatabase.faults.delayMs = 20;
			const killed = migrate(to);
			await expect.poll(() => killed.log(), { timeout: 60_000, interval: 5 }).toContain("auth_");
			await killed.kill("SIGKILL");
			toDatabase.faults.delayMs = 0;
		};
		await killedInBetween("database");
		const moved = migrate("database");
		const there = await moved.line<{
			tables: number;
			sums: Record<string, { rows: number; sha256: string }>;
			former: string;
		}>();
		expect(await moved.exited).toBe(0);
		expect(there.tables).toBeGreaterThan(15);
		expect(there.sums["auth_user"]?.rows).toBe(1);
		expect(there.sums["sync_rooms"]?.rows).toBe(1);
		expect([existsSync(join(home, "data/hub.db")), existsSync(there.former)]).toEqual([false, true]);

		await withHub(backends, async (origin) => {
			const me = await fetch(`${origin}/me`, { headers: { authorization: `Bearer ${token}` } });
			expect(((await me.json()) as { user: { email: string } }).user.email).toBe(person.email);
			expect(await content(origin)).toEqual(expected);
			// What PostgreSQL numbers itself goes on after what was copied.
			const made = await fetch(`${origin}/rooms/plan/checkpoints`, {
				method: "POST",
				headers: { authorization: `Bearer ${token}`, "content-type": "application/json" },
				body: "{}",
			});
			expect(made.status).toBeLessThan(500);
			const meanwhile = migrate("folder");
			expect(await meanwhile.exited).toBe(1);
			expect(meanwhile.log()).toMatch(/in use|is running/);
		});

		await killedInBetween("folder");
		const back = migrate("folder");
		const here = await back.line<{ sums: Record<string, { rows: number }> }>();
		expect(await back.exited).toBe(0);
		expect(here.sums["auth_user"]?.rows).toBe(1);
		await withHub([], async (origin) => expect(await content(origin)).toEqual(expected));
		const stale = startCommand([...local, ...backends], { home });
		expect(await stale.exited).toBe(1);
		expect(stale.log()).toContain("The hub was moved out of this database into a folder");

		// A second time into what is not empty is refused, and nothing is taken away.
		rmSync(there.former);
		const again = migrate("database");
		expect(await again.exited).toBe(1);
		expect(again.log()).toContain("holds rows already");
		expect(existsSync(join(home, "data/hub.db"))).toBe(true);
	}, 300_000);
});
