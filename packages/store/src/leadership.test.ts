import { Lifetime, silentLogger } from "@warren/kernel";
import { noPostgres, TestPostgres, VirtualClock } from "@warren/testkit";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { assertLeads, Leadership, leadershipLimits, leadershipSchema } from "./leadership.ts";
import { openPostgresTables } from "./open-postgres-tables.ts";
import type { Tables } from "./tables.ts";

const reason = noPostgres();

describe.skipIf(reason !== null)("who leads (skipped where PostgreSQL is not installed)", () => {
	let postgres: TestPostgres;
	let lifetime: Lifetime;
	let tables: Tables<any>;
	beforeAll(() => {
		postgres = new TestPostgres();
	});
	afterAll(() => postgres?.[Symbol.dispose]());
	beforeEach(async () => {
		lifetime = new Lifetime();
		const where = { host: postgres.host, user: postgres.user, database: postgres.createDatabase() };
		tables = lifetime.own(await openPostgresTables<any>(where, [leadershipSchema]));
	});
	afterEach(() => lifetime.close());

	/** An instance with a clock of its own, years away from the others'. */
	async function instance(holder: string, startMs: number) {
		const clock = new VirtualClock(startMs);
		const said: string[] = [];
		const leadership = new Leadership(
			tables.db,
			{ clock, logger: silentLogger },
			{
				...{ role: "test", holder, address: `${holder}:1`, secret: `secret of ${holder}` },
				lead: async (epoch) => void said.push(`leads ${epoch}`),
				lost: () => void said.push("lost"),
				follow: (leader) => void said.push(leader === null ? "nobody" : `follows ${leader.holder} ${leader.epoch}`),
			},
		);
		const secret = await leadership.open();
		await leadership.start();
		lifetime.own(leadership);
		/** Beats, one after another, each of them answered before the next. */
		const live = async (ms: number) => {
			for (let passed = 0; passed < ms; passed += leadershipLimits.beatMs) {
				await clock.advance(leadershipLimits.beatMs);
				await leadership.settled();
			}
		};
		return { leadership, said, live, secret };
	}

	it("the first leads, the next follows, and they share the first one's secret", async () => {
		const [a, b] = [await instance("a", 1_000), await instance("b", 9_999_999_999_999)];
		expect([a.said, b.said]).toEqual([["nobody", "leads 1"], ["follows a 1"]]);
		expect([a.secret, b.secret]).toEqual(["secret of a", "secret of a"]);
		for (let each = 0; each < 20; each++) {
			await a.live(leadershipLimits.beatMs);
			await b.live(leadershipLimits.beatMs);
		}
		expect([a.leadership.epoch, b.leadership.epoch]).toEqual([1, null]);
	});

	it("a leader that no longer beats has stopped on its own clock before another takes over, however the clocks differ", async () => {
		const [a, b] = [await instance("a", 9_999_999_999_999), await instance("b", 5)];
		await a.live(leadershipLimits.beatMs);
		await b.live(leadershipLimits.leaseMs - leadershipLimits.beatMs);
		expect(b.leadership.epoch, "not yet").toBeNull();
		await b.live(3 * leadershipLimits.beatMs);
		expect(b.leadership.epoch).toBe(2);
		expect(leadershipLimits.holdMs).toBeLessThan(leadershipLimits.leaseMs - leadershipLimits.beatMs);
		// It slept meanwhile; its next beat tells it.
		await a.live(leadershipLimits.beatMs);
		expect(a.said.at(-1)).toBe("lost");
		await a.live(leadershipLimits.beatMs);
		expect(a.said.at(-1)).toBe("follows b 2");
	});

	it("of those who see it free one takes it, and an earlier epoch writes nothing any more", async () => {
		const a = await instance("a", 1);
		const others = await Promise.all(["b", "c", "d"].map((holder) => instance(holder, 1)));
		await a.leadership.close();
		await Promise.all(others.map((each) => each.live(leadershipLimits.beatMs)));
		expect(others.filter((each) => each.leadership.epoch === 2).length).toBe(1);
		const write = (epoch: number) =>
			tables.db.transaction().execute((transaction) => assertLeads(transaction, "test", epoch));
		await write(2);
		await expect(write(1)).rejects.toMatchObject({ code: "store_busy" });
	});

	it("of many who take the same epoch at once one has it, and what two hold to be theirs only one writes", async () => {
		const a = await instance("a", 1);
		const rivals = await Promise.all(["b", "c", "d", "e"].map((holder, index) => instance(holder, index * 3_600_000)));
		// The leader is silent: it sleeps, and believes in its epoch when it wakes.
		for (let passed = 0; passed < 3 * leadershipLimits.leaseMs; passed += leadershipLimits.beatMs)
			await Promise.all(rivals.map((rival) => rival.live(leadershipLimits.beatMs)));
		const won = rivals.filter((rival) => rival.leadership.epoch !== null);
		expect(won.map((rival) => rival.leadership.epoch)).toEqual([2]);
		expect(a.leadership.epoch, "it does not know yet").toBe(1);
		const write = (epoch: number) =>
			tables.db.transaction().execute((transaction) => assertLeads(transaction, "test", epoch));
		await expect(write(a.leadership.epoch ?? 0)).rejects.toMatchObject({ code: "store_busy" });
		await write(2);
		const epochs = await tables.db.selectFrom("store_leadership").select("epoch").execute();
		expect(epochs.map(({ epoch }) => Number(epoch))).toEqual([2]);
	});

	it("one that cannot begin gives it up", async () => {
		const clock = new VirtualClock();
		const said: string[] = [];
		const leadership = new Leadership(
			tables.db,
			{ clock, logger: silentLogger },
			{
				...{ role: "test", holder: "x", address: "x:1", secret: "s" },
				lead: () => Promise.reject(new Error("its state cannot be read")),
				lost: () => void said.push("lost"),
				follow: () => {},
			},
		);
		lifetime.own(leadership);
		await leadership.open();
		await leadership.start();
		await leadership.settled();
		expect([leadership.epoch, said]).toEqual([null, ["lost"]]);
	});
});
