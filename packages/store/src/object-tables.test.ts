import { FakeObjectStorage, tempFolder } from "@warren/testkit";
import { expect, it } from "vitest";
import { openObjectTables } from "./object-tables.ts";
import { type ContractTables, tablesContract } from "./tables.contract.ts";
import type { Schema } from "./tables.ts";

tablesContract("a Durable Object's storage", async () => {
	const folder = tempFolder("object");
	return {
		open: async (schemas) => {
			const storage = new FakeObjectStorage(folder.file("object.db"));
			const dispose = () => storage[Symbol.dispose]();
			try {
				const tables = await openObjectTables<ContractTables>(storage, schemas, "under test");
				return {
					db: tables.db,
					close: async () => {
						await tables.close();
						dispose();
					},
				};
			} catch (fault) {
				dispose();
				throw fault;
			}
		},
		remove: async () => folder[Symbol.dispose](),
	};
});

const bytes: Schema = {
	domain: "bytes",
	migrations: {
		"001-bytes": {
			up: (db) => db.schema.createTable("bytes").addColumn("id", "integer").addColumn("value", "blob").execute(),
		},
	},
};

it("statements of a Durable Object carry bytes both ways, also a part of a larger buffer, and undo what fails", async () => {
	using folder = tempFolder("object");
	using storage = new FakeObjectStorage(folder.file("object.db"));
	const { statements, close } = await openObjectTables(storage, [bytes], "under test");
	const part = new Uint8Array([9, 1, 2, 9]).subarray(1, 3);
	expect(statements.run("INSERT INTO bytes (id, value) VALUES (?, ?)", 1, part)).toBe(1);
	expect(statements.all("SELECT value FROM bytes")).toEqual([{ value: new Uint8Array([1, 2]) }]);
	const failing = () =>
		statements.transaction(() => {
			statements.run("DELETE FROM bytes");
			throw new Error("no");
		});
	expect(failing).toThrow(/refused to write: no/);
	expect(statements.all("SELECT id FROM bytes")).toEqual([{ id: 1 }]);
	await close();
});
