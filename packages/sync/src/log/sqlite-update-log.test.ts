import { cpSync } from "node:fs";
import { systemClock } from "@warren/kernel";
import { openSqliteTables, type Statements } from "@warren/store";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { expect, it } from "vitest";
import { syncLogSchema } from "./schema.ts";
import { SqliteUpdateLog } from "./sqlite-update-log.ts";
import { updateLogContract } from "./update-log.contract.ts";

updateLogContract("SQLite", async () => {
	const folder = tempFolder("sync-log");
	const open = () => openSqliteTables(folder.file("sync.db"), [syncLogSchema]);
	let tables = await open();
	const clock = new VirtualClock();
	return {
		log: new SqliteUpdateLog(tables.statements, clock),
		reopen: async () => {
			await tables.close();
			tables = await open();
			return new SqliteUpdateLog(tables.statements, clock);
		},
		close: async () => {
			await tables.close();
			folder[Symbol.dispose]();
		},
	};
});

it("SQLite as an update log waits for a transaction that another has open on its connection", async () => {
	const tables = await openSqliteTables<{ sync_coverage: { room: string; bytes: Uint8Array } }>(":memory:", [
		syncLogSchema,
	]);
	const log = new SqliteUpdateLog(tables.statements, systemClock);
	let appended: Promise<number[]> | undefined;
	await tables.db.transaction().execute(async (theirs) => {
		appended = log.append([{ room: "a", updates: [{ update: new Uint8Array([1]), owner: "user:a" }] }]);
		await theirs
			.insertInto("sync_coverage")
			.values({ room: "b", bytes: new Uint8Array(1) })
			.execute();
	});
	expect(await appended).toEqual([1]);
	await tables.close();
});

updateLogContract("SQLite that takes small values alone", async () => {
	const folder = tempFolder("sync-log");
	const open = () => openSqliteTables(folder.file("sync.db"), [syncLogSchema]);
	let tables = await open();
	const clock = new VirtualClock();
	const small = { maxValueBytes: 1 };
	return {
		log: new SqliteUpdateLog(tables.statements, clock, small),
		reopen: async () => {
			await tables.close();
			tables = await open();
			return new SqliteUpdateLog(tables.statements, clock, small);
		},
		close: async () => {
			await tables.close();
			folder[Symbol.dispose]();
		},
	};
});

it("an update that is too large for one value stands in pieces, which go when it is compacted", async () => {
	const tables = await openSqliteTables(":memory:", [syncLogSchema]);
	const log = new SqliteUpdateLog(tables.statements, systemClock, { maxValueBytes: 3 });
	const large = new Uint8Array([1, 2, 3, 4]);
	const pieces = () => tables.statements.all<{ kind: number }>("SELECT kind FROM sync_chunks WHERE kind < 0");
	await log.append([{ room: "a", updates: [{ update: large, owner: "user:a" }] }]);
	expect(pieces()).toEqual([{ kind: -1 }]);
	expect((await log.read("a", 0, 100)).map((each) => [...each.update])).toEqual([[...large]]);
	expect(await log.compact("a", { upto: 1, update: large, coverage: new Uint8Array(2), hash: "h" }, 0)).toBe(true);
	expect(pieces()).toEqual([]);
	await tables.close();
});

it("a compaction that is cut at any of its steps leaves the log as it was, or compacted", async () => {
	using folder = tempFolder("sync-log");
	const path = folder.file("sync.db");
	const tables = await openSqliteTables(path, [syncLogSchema]);
	let steps: number | null = null;
	/** What a machine finds on its disk that stopped here. */
	const cut = () => {
		if (steps === null) return;
		const to = folder.file(`step-${steps++}.db`);
		for (const part of ["", "-wal"]) cpSync(`${path}${part}`, `${to}${part}`);
	};
	const watched: Statements = {
		run: (sql, ...values) => {
			const changes = tables.statements.run(sql, ...values);
			cut();
			return changes;
		},
		all: (sql, ...values) => tables.statements.all(sql, ...values),
		transaction: (work) => {
			const result = tables.statements.transaction(work);
			cut();
			return result;
		},
	};
	const log = new SqliteUpdateLog(watched, systemClock);
	const update = (byte: number) => ({ update: new Uint8Array([byte]), owner: "user:a" });
	await log.append([{ room: "a", updates: [update(1), update(2), update(3)] }]);
	const snapshot = { upto: 2, update: new Uint8Array([1, 2]), coverage: new Uint8Array([9]), hash: "h" };
	steps = 0;
	expect(await log.compact("a", snapshot, 0)).toBe(true);
	expect(steps).toBeGreaterThanOrEqual(6);
	const found: string[] = [];
	for (let step = 0; step < steps; step++) {
		const after = await openSqliteTables(folder.file(`step-${step}.db`), [syncLogSchema]);
		const stopped = new SqliteUpdateLog(after.statements, systemClock);
		const head = await stopped.head("a");
		const whole = head.snapshot === null ? null : await stopped.snapshot("a");
		const tail = await stopped.read("a", head.snapshot?.upto ?? 0, 1_000);
		expect([...(whole ?? []), ...tail.flatMap((each) => [...each.update])], `step ${step}`).toEqual([1, 2, 3]);
		expect(head.head).toBe(3);
		found.push(head.snapshot === null ? "as it was" : "compacted");
		await after.close();
	}
	expect(new Set(found.slice(0, -1))).toEqual(new Set(["as it was"]));
	expect(found.at(-1)).toBe("compacted");
	await tables.close();
});
