import { describe, expect, it } from "vitest";
import { openSqliteTables } from "./sqlite-tables.ts";
import type { Schema } from "./tables.ts";

interface Notes {
	notes: { id: string };
}

const schema: Schema = {
	domain: "notes",
	migrations: {
		"001-notes": {
			up: (db) =>
				db.schema
					.createTable("notes")
					.addColumn("id", "text", (c) => c.primaryKey())
					.execute(),
		},
	},
};

describe("prepared statements", () => {
	it("do all of a transaction or nothing", async () => {
		const tables = await openSqliteTables<Notes>(":memory:", [schema]);
		const { statements } = tables;
		const add = (id: string) => statements.run("INSERT INTO notes (id) VALUES (?)", id);
		expect(statements.transaction(() => add("a") + add("b"))).toBe(2);
		expect(() => statements.transaction(() => add("c") + add("a"))).toThrow(/refused/);
		expect(statements.all("SELECT id FROM notes ORDER BY id")).toEqual([{ id: "a" }, { id: "b" }]);
		await tables.close();
	});

	it("leave a transaction alone that another has open on the same connection", async () => {
		const tables = await openSqliteTables<Notes>(":memory:", [schema]);
		await tables.db.transaction().execute(async (transaction) => {
			await transaction.insertInto("notes").values({ id: "theirs" }).execute();
			expect(() => tables.statements.transaction(() => 1)).toThrow(/Another transaction/);
		});
		expect(tables.statements.all("SELECT id FROM notes")).toEqual([{ id: "theirs" }]);
		await tables.close();
	});

	it("say when the disk is full", async () => {
		const tables = await openSqliteTables<Notes>(":memory:", [schema]);
		const [page] = tables.statements.all<{ page_count: number }>("PRAGMA page_count");
		tables.statements.all(`PRAGMA max_page_count = ${(page?.page_count ?? 0) + 1}`);
		const fill = () =>
			tables.statements.transaction(() =>
				tables.statements.run("INSERT INTO notes (id) VALUES (?)", "x".repeat(100_000)),
			);
		expect(fill).toThrow(expect.objectContaining({ code: "store_full", retryable: true }));
		await tables.close();
	});
});
