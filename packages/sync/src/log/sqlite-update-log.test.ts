import { systemClock } from "@warren/kernel";
import { openSqliteTables } from "@warren/store";
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
