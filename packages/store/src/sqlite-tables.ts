import { chmodSync, existsSync } from "node:fs";
import { DatabaseSync, type SQLInputValue } from "node:sqlite";
import { defineErrors, messageOf } from "@warren/kernel";
import { CompiledQuery, Kysely, type Migration, Migrator, SqliteDialect } from "kysely";
import type { Schema, Tables } from "./tables.ts";

export const storeError = defineErrors({
	store_unreadable: { status: 500 },
	store_newer: { status: 500 },
	store_full: { status: 507, retryable: true },
	store_migration: { status: 500 },
});

/**
 * Opens (or makes) a SQLite database, mode 0600, and brings its schemas up to date. What a statement has reported as
 * done is on disk: WAL with synchronous FULL.
 * @param path file, or `:memory:`.
 * @throws WarrenError `store_unreadable` (not a database, no permission), `store_newer` (made by a newer version),
 *   `store_migration`.
 */
export async function openSqliteTables<DB>(path: string, schemas: readonly Schema[]): Promise<Tables<DB>> {
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
						all: (parameters) => statement.all(...values(parameters)),
						run: (parameters) => {
							const done = statement.run(...values(parameters));
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
	return { db, close: () => db.destroy() };
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

async function migrate(db: Kysely<any>, schemas: readonly Schema[], path: string): Promise<void> {
	const migrations: Record<string, Migration> = {};
	for (const schema of schemas) {
		for (const [name, migration] of Object.entries(schema.migrations))
			migrations[`${schema.domain}/${name}`] = migration;
	}
	const isOurs = (name: string) => schemas.some((schema) => name.startsWith(`${schema.domain}/`));
	const applied = await appliedNames(db);
	const unknown = applied.filter((name) => isOurs(name) && migrations[name] === undefined);
	if (unknown.length > 0) {
		throw storeError("store_newer", `The database ${path} was made by a newer version: it has ${unknown.join(", ")}.`, {
			fix: "Start that version, or restore a backup that was made with this one.",
		});
	}
	// A role that was started alone knows fewer domains than have tables here: it leaves those as they are.
	for (const name of applied) if (!isOurs(name)) migrations[name] = { up: async () => {} };
	const migrator = new Migrator({
		db,
		provider: { getMigrations: async () => migrations },
		// Domains arrive one after another, so a later one may sort before an earlier one.
		allowUnorderedMigrations: true,
	});
	const { error } = await migrator.migrateToLatest();
	if (error !== undefined) {
		throw storeError("store_migration", `The database ${path} could not be brought up to date: ${messageOf(error)}.`, {
			fix: "Nothing was lost: it is as it was before. Check free disk space and start again.",
			cause: error,
		});
	}
}

async function appliedNames(db: Kysely<any>): Promise<string[]> {
	const tables = await db.introspection.getTables({ withInternalKyselyTables: true });
	if (!tables.some((table) => table.name === "kysely_migration")) return [];
	const { rows } = await db.executeQuery<{ name: string }>(CompiledQuery.raw("select name from kysely_migration"));
	return rows.map((row) => row.name);
}

function toSqlite(value: unknown): SQLInputValue {
	if (typeof value === "boolean") return value ? 1 : 0;
	if (value === undefined) return null;
	return value as SQLInputValue;
}
