import { openSqliteTables } from "@warren/store";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { sql } from "kysely";
import { expect, test } from "vitest";
import { type TerminalTables, terminalSchema } from "./schema.ts";
import { Shares, shareLimits } from "./shares.ts";

const context = { accepts: ["share"] as const, remoteAddress: "", path: "/" };

test("a share outlives a restart, is only hashed at rest, and ends by itself", async () => {
	const tables = await openSqliteTables<TerminalTables>(":memory:", [terminalSchema]);
	const clock = new VirtualClock();
	const ended: string[] = [];
	const open = () =>
		Shares.open({ db: tables.db, clock, random: new SeededRandom(1) }, (share, why) =>
			ended.push(`${share.id} ${why}`),
		);
	const first = await open();
	const { share, token } = await first.create("warren.1", 1700, 60_000);
	first.close();
	expect(JSON.stringify(await tables.db.selectFrom("terminal_shares").selectAll().execute())).not.toContain(token);
	const second = await open();
	const verdict = await second.authenticate({ scheme: "bearer", token, from: "header" }, context);
	expect(verdict).toMatchObject({ ok: true, identity: { kind: "share", shareId: share.id, resource: "warren.1" } });
	expect(second.sessionCreated(share.id)).toBe(1700);
	await clock.advance(60_000);
	expect(ended).toEqual([`${share.id} expired`]);
	const over = await second.authenticate({ scheme: "bearer", token, from: "header" }, context);
	expect(over).toMatchObject({ ok: false, reason: "invalid" });
	expect(await second.authenticate({ scheme: "bearer", token: "wd_x", from: "header" }, context)).toBeNull();
	second.close();
	expect(clock.pending).toBe(0);
	await tables.close();
});

test("one more share than the limit is refused", async () => {
	const tables = await openSqliteTables<TerminalTables>(":memory:", [terminalSchema]);
	const shares = await Shares.open({ db: tables.db, clock: new VirtualClock(), random: new SeededRandom(2) }, () => {});
	for (let count = 0; count < shareLimits.maxShares; count += 1) await shares.create("warren.1", 1, 60_000);
	await expect(shares.create("warren.1", 1, 60_000)).rejects.toMatchObject({ code: "too_many" });
	shares.close();
	await tables.close();
});

test("a share that is over ends what it has open, also where the disk takes nothing, and the node starts all the same", async () => {
	const tables = await openSqliteTables<TerminalTables>(":memory:", [terminalSchema]);
	const clock = new VirtualClock();
	const ended: string[] = [];
	const open = () =>
		Shares.open({ db: tables.db, clock, random: new SeededRandom(3) }, (share, why) =>
			ended.push(`${share.id} ${why}`),
		);
	const shares = await open();
	const { share } = await shares.create("warren.1", 1700, 60_000);
	await sql`CREATE TRIGGER full BEFORE DELETE ON terminal_shares BEGIN SELECT RAISE(FAIL, 'disk is full'); END`.execute(
		tables.db,
	);
	await clock.advance(60_000);
	expect(ended).toEqual([`${share.id} expired`]);
	shares.close();
	const next = await open();
	expect(next.list()).toEqual([]);
	expect(await tables.db.selectFrom("terminal_shares").selectAll().execute()).toHaveLength(1);
	await sql`DROP TRIGGER full`.execute(tables.db);
	next.close();
	(await open()).close();
	expect(await tables.db.selectFrom("terminal_shares").selectAll().execute()).toEqual([]);
	await tables.close();
});
