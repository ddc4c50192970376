import { HealthTable, silentLogger } from "@warren/kernel";
import { noPostgres, TestPostgres, VirtualClock } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { openPostgresTables } from "./open-postgres-tables.ts";
import { SharedClock, sharedClockLimits } from "./shared-clock.ts";
import type { Tables } from "./tables.ts";

const reason = noPostgres();
const minuteMs = 60_000;

describe.skipIf(reason !== null)("the time that instances share (skipped where PostgreSQL is not installed)", () => {
	let server: TestPostgres;
	let tables: Tables<unknown>;
	beforeAll(async () => {
		server = new TestPostgres();
		const where = { host: server.host, user: server.user, database: server.createDatabase() };
		tables = await openPostgresTables(where, []);
	});
	afterAll(async () => {
		await tables?.close();
		server?.[Symbol.dispose]();
	});

	/** An instance whose own clock is off by so much. */
	async function instance(offMs: number) {
		const own = new VirtualClock(Date.now() + offMs);
		const health = new HealthTable(own);
		const clock = await SharedClock.open(tables.db, { clock: own, logger: silentLogger, health });
		return { own, clock, conditions: () => health.list().map(({ code }) => code) };
	}

	it("is the database's, however far their own clocks are apart, and a clock that is off shows", async () => {
		const [early, late, right] = [await instance(-10 * minuteMs), await instance(7 * minuteMs), await instance(0)];
		const times = [early, late, right].map(({ clock }) => clock.now());
		expect(Math.max(...times) - Math.min(...times)).toBeLessThan(minuteMs / 2);
		expect(Math.abs(right.clock.now() - Date.now())).toBeLessThan(minuteMs / 2);
		expect([early, late, right].map(({ conditions }) => conditions())).toEqual([["clock-off"], ["clock-off"], []]);
		for (const { clock } of [early, late, right]) clock.close();
		expect(early.conditions()).toEqual([]);
	});

	it("goes on by the monotonic clock, and while the database is away", async () => {
		const { own, clock } = await instance(0);
		const before = clock.now();
		server.kill();
		await own.advance(3 * sharedClockLimits.everyMs);
		expect(clock.now() - before).toBe(3 * sharedClockLimits.everyMs);
		server.restart();
		clock.close();
	});
});
