import { openSqliteTables } from "@warren/store";
import { tempFolder, VirtualClock } from "@warren/testkit";
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
