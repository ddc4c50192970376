import { silentLogger } from "@warren/kernel";
import { tempFolder, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { busContract } from "./bus.contract.ts";
import { keyValueContract, onVirtualTime } from "./key-value.contract.ts";
import { MemoryBus } from "./memory-bus.ts";
import { MemoryKeyValue } from "./memory-key-value.ts";
import { SqliteStream, streamSchema } from "./sqlite-stream.ts";
import { openSqliteTables } from "./sqlite-tables.ts";
import { contractStream, streamContract } from "./stream.contract.ts";
import { type ContractTables, tablesContract } from "./tables.contract.ts";

keyValueContract("memory", async () => {
	const clock = new VirtualClock();
	return onVirtualTime(clock, new MemoryKeyValue(clock, silentLogger));
});
busContract("memory", async () => new MemoryBus(silentLogger));
tablesContract("SQLite", async () => {
	const folder = tempFolder("tables");
	return {
		open: (schemas) => openSqliteTables<ContractTables>(folder.file("a.db"), schemas),
		remove: async () => folder[Symbol.dispose](),
	};
});

streamContract("SQLite", async () => {
	const folder = tempFolder("stream");
	const clock = new VirtualClock();
	const tables = await openSqliteTables(folder.file("a.db"), [streamSchema]);
	const open = () => new SqliteStream(tables.statements, "s", contractStream, { clock, logger: silentLogger });
	const stream = open();
	return {
		stream,
		reopen: async () => {
			stream.close();
			return open();
		},
		advance: (ms) => clock.advance(ms),
		close: async () => {
			stream.close();
			await tables.close();
			folder[Symbol.dispose]();
		},
	};
});

describe("the in-process key-value store", () => {
	it("leaves no timer behind when it closes", async () => {
		const clock = new VirtualClock();
		const store = new MemoryKeyValue(clock, silentLogger);
		await store.put("a", new Uint8Array(), { ttlMs: 1000 });
		store.close();
		expect(clock.pending).toBe(0);
	});
});
