import { messageOf } from "@warren/kernel";
import { CompiledQuery, type Kysely, type Migration, Migrator } from "kysely";
import { storeError } from "./errors.ts";
import type { Schema } from "./tables.ts";

/**
 * Brings a database up to date, whichever engine it is.
 * @param path what to call it in errors. @throws WarrenError `store_newer`, `store_migration`.
 */
export async function migrate(db: Kysely<any>, schemas: readonly Schema[], path: string): Promise<void> {
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
