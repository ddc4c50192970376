import { chmodSync, existsSync } from "node:fs";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { Kysely, SqliteDialect } from "kysely";
import { storeError } from "./errors.ts";
import { migrate } from "./migrate.ts";
import { diskFull, SqliteStatements } from "./sqlite-statements.ts";
import type { Schema, SqliteTables } from "./tables.ts";

/**
 * Opens (or makes) a SQLite database, mode 0600, and brings its schemas up to date. What a statement has reported as
 * done is on disk: WAL with synchronous FULL.
 * @param path file, or `:memory:`.
 * @throws WarrenError `store_unreadable` (not a database, no permission), `store_newer` (made by a newer version),
 *   `store_migration`.
 */
export async function openSqliteTables<DB>(path: string, schemas: readonly Schema[]): Promise<SqliteTables<DB>> {
	const database = openDatabase(path);
	const db = new Kysely<DB>({
		dialect: new SqliteDialect({
			database: {
				close: () => database.close(),
				prepare(sql) {
					const statement = database.prepare(sql);
					const values = (parameters: readonly unknown[]) => parameters.map(toSqlite);
					return {
						reader: statement.columns().length > 0,
						all: (parameters) => written(() => statement.all(...values(parameters))),
						run: (parameters) => {
							const done = written(() => statement.run(...values(parameters)));
							return { changes: done.changes, lastInsertRowid: done.lastInsertRowid };
						},
						iterate: (parameters) => statement.iterate(...values(parameters)) as IterableIterator<unknown>,
					};
				},
			},
		}),
	});
	try {
		await migrate(db, schemas, path);
	} catch (failure) {
		await db.destroy();
		throw failure;
	}
	return { db, statements: new SqliteStatements(database), close: () => db.destroy() };
}

function openDatabase(path: string): DatabaseSync {
	try {
		const database = new DatabaseSync(path);
		// A table that another process is writing is waited for, not reported.
		database.exec(
			"PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;",
		);
		if (path !== ":memory:" && existsSync(path)) chmodSync(path, 0o600);
		return database;
	} catch (cause) {
		throw storeError("store_unreadable", `The database ${path} cannot be opened: ${(cause as Error).message}.`, {
			fix: "Check its permissions and free disk space, or restore it with: warren restore",
			cause,
		});
	}
}

/** A full disk is said as such; every other fault stays as it is, for whoever tells rows in the way apart. */
function written<T>(statement: () => T): T {
	try {
		return statement();
	} catch (cause) {
		throw diskFull(cause) ?? cause;
	}
}

function toSqlite(value: unknown): SQLInputValue {
	if (typeof value === "boolean") return value ? 1 : 0;
	if (value === undefined) return null;
	return value as SQLInputValue;
}
