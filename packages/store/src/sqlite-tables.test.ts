import { mkdtempSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { openSqliteTables } from "./sqlite-tables.ts";
import type { Schema } from "./tables.ts";

interface Notes {
	notes: { id: string; text: string };
}

const first: Schema = {
	domain: "notes",
	migrations: {
		"001-notes": {
			up: (db) =>
				db.schema
					.createTable("notes")
					.addColumn("id", "text", (c) => c.primaryKey())
					.addColumn("text", "text")
					.execute(),
		},
	},
};
const second: Schema = {
	domain: "notes",
	migrations: {
		...first.migrations,
		"002-more": { up: (db) => db.schema.alterTable("notes").addColumn("more", "text").execute() },
	},
};

let folder: string;
beforeEach(() => {
	folder = mkdtempSync(join(tmpdir(), "warren-store-"));
});
afterEach(() => rmSync(folder, { recursive: true }));

describe("SQLite tables", () => {
	it("keep what was written across a reopening, in a file that only its owner reads", async () => {
		const path = join(folder, "a.db");
		const before = await openSqliteTables<Notes>(path, [first]);
		await before.db.insertInto("notes").values({ id: "1", text: "kept" }).execute();
		await before.close();
		expect(statSync(path).mode & 0o777).toBe(0o600);
		const after = await openSqliteTables<Notes>(path, [second]);
		expect(await after.db.selectFrom("notes").select("text").execute()).toEqual([{ text: "kept" }]);
		await after.close();
	});

	it("refuse a database of a newer version and leave it alone", async () => {
		const path = join(folder, "a.db");
		await (await openSqliteTables<Notes>(path, [second])).close();
		await expect(openSqliteTables<Notes>(path, [first])).rejects.toMatchObject({
			code: "store_newer",
			message: expect.stringContaining("notes/002-more"),
		});
		await (await openSqliteTables<Notes>(path, [second])).close();
	});

	it("say when the disk is full, and go on once it is not", async () => {
		const { db, statements, close } = await openSqliteTables<Notes>(":memory:", [first]);
		const [page] = statements.all<{ page_count: number }>("PRAGMA page_count");
		statements.all(`PRAGMA max_page_count = ${(page?.page_count ?? 0) + 1}`);
		const large = { id: "1", text: "x".repeat(100_000) };
		const full = { code: "store_full", status: 507, retryable: true };
		await expect(db.insertInto("notes").values(large).execute()).rejects.toMatchObject(full);
		await expect(db.insertInto("notes").values(large).returning("id").execute()).rejects.toMatchObject(full);
		statements.all("PRAGMA max_page_count = 100000");
		await db.insertInto("notes").values(large).execute();
		expect(await db.selectFrom("notes").select("id").execute()).toEqual([{ id: "1" }]);
		await close();
	});

	it("say which file is not a database", async () => {
		const path = join(folder, "a.db");
		writeFileSync(path, "this is a text, and no database at all, and long enough to be read as one");
		await expect(openSqliteTables<Notes>(path, [first])).rejects.toMatchObject({
			code: "store_unreadable",
			message: expect.stringContaining(path),
		});
	});
});
