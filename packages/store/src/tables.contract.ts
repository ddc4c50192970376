import { sql } from "kysely";
import { describe, expect, it } from "vitest";
import type { Schema, Tables } from "./tables.ts";

export interface ContractTables {
	contract_notes: { id: string; at: number; text: string };
}

export interface TablesUnderTest {
	/** Opens the same database each time. */
	readonly open: (schemas: readonly Schema[]) => Promise<Tables<ContractTables>>;
	readonly remove: () => Promise<void>;
}

const notes: Schema = {
	domain: "contract",
	migrations: {
		"001-notes": {
			async up(db) {
				await db.schema
					.createTable("contract_notes")
					.addColumn("id", "text", (column) => column.primaryKey())
					.addColumn("at", "bigint", (column) => column.notNull())
					.addColumn("text", "text", (column) => column.notNull())
					.execute();
			},
		},
	},
};
const later: Schema = {
	...notes,
	migrations: {
		...notes.migrations,
		"002-more": { up: (db) => db.schema.alterTable("contract_notes").addColumn("more", "text").execute() },
	},
};
const broken: Schema = {
	...notes,
	migrations: {
		...notes.migrations,
		"002-broken": {
			async up(db) {
				await db.schema.alterTable("contract_notes").addColumn("half", "text").execute();
				await sql`insert into no_such_table values (1)`.execute(db);
			},
		},
	},
};
const row = (id: string, text = "x") => ({ id, at: 1_795_000_000_123, text });

/** What every database of this product does. */
export function tablesContract(name: string, make: () => Promise<TablesUnderTest>): void {
	describe(`${name} as tables`, () => {
		const withTables = async (body: (under: TablesUnderTest) => Promise<void>) => {
			const under = await make();
			try {
				await body(under);
			} finally {
				await under.remove();
			}
		};

		it("keep rows across a reopening and a migration, times in milliseconds as numbers", () =>
			withTables(async (under) => {
				const before = await under.open([notes]);
				await before.db.insertInto("contract_notes").values(row("1")).execute();
				await before.close();
				const after = await under.open([later]);
				expect(await after.db.selectFrom("contract_notes").select(["id", "at", "text"]).execute()).toEqual([row("1")]);
				await after.close();
			}));

		it("refuse a database of a newer version", () =>
			withTables(async (under) => {
				await (await under.open([later])).close();
				await expect(under.open([notes])).rejects.toMatchObject({ code: "store_newer" });
			}));

		it("leave the database as it was when a migration fails, and say so", () =>
			withTables(async (under) => {
				const before = await under.open([notes]);
				await before.db.insertInto("contract_notes").values(row("1")).execute();
				await before.close();
				await expect(under.open([broken])).rejects.toMatchObject({ code: "store_migration" });
				const after = await under.open([later]);
				expect(await after.db.selectFrom("contract_notes").select("id").execute()).toEqual([{ id: "1" }]);
				await after.close();
			}));

		it("take a domain that comes later, whatever its name sorts before", () =>
			withTables(async (under) => {
				await (await under.open([notes])).close();
				const earlier: Schema = {
					domain: "a-domain",
					migrations: {
						"001-a": { up: (db) => db.schema.createTable("a_table").addColumn("id", "text").execute() },
					},
				};
				await (await under.open([notes, earlier])).close();
				await (await under.open([notes])).close();
			}));

		it("undo a transaction that fails, whole", () =>
			withTables(async (under) => {
				const { db, close } = await under.open([notes]);
				await db.insertInto("contract_notes").values(row("1")).execute();
				const failing = db.transaction().execute(async (transaction) => {
					await transaction.insertInto("contract_notes").values(row("2")).execute();
					await transaction.insertInto("contract_notes").values(row("1")).execute();
				});
				await expect(failing).rejects.toThrow();
				expect(await db.selectFrom("contract_notes").select("id").execute()).toEqual([{ id: "1" }]);
				await close();
			}));

		it("count what changed, and say what stands in the way of a second row", () =>
			withTables(async (under) => {
				const { db, close } = await under.open([notes]);
				await db
					.insertInto("contract_notes")
					.values([row("1"), row("2")])
					.execute();
				const ignored = await db
					.insertInto("contract_notes")
					.values(row("1", "again"))
					.onConflict((conflict) => conflict.doNothing())
					.executeTakeFirst();
				expect(Number(ignored.numInsertedOrUpdatedRows ?? 0)).toBe(0);
				const removed = await db.deleteFrom("contract_notes").where("at", ">", 0).executeTakeFirst();
				expect(Number(removed.numDeletedRows)).toBe(2);
				await close();
			}));

		it("serve many at once", () =>
			withTables(async (under) => {
				const { db, close } = await under.open([notes]);
				await Promise.all(
					Array.from({ length: 50 }, (_, index) =>
						db.transaction().execute(async (transaction) => {
							await transaction
								.insertInto("contract_notes")
								.values(row(String(index)))
								.execute();
						}),
					),
				);
				const { count } = await db
					.selectFrom("contract_notes")
					.select((each) => each.fn.countAll<number>().as("count"))
					.executeTakeFirstOrThrow();
				expect(Number(count)).toBe(50);
				await close();
			}));
	});
}
