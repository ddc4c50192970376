import { existsSync, renameSync } from "node:fs";
import { defineErrors, HealthTable, Lifetime } from "@warren/kernel";
import type { Tables } from "@warren/store";
import type { Kysely } from "kysely";
import type { RoleDeps } from "../cli/run-role.ts";
import { DataFolder } from "../config/data-folder.ts";
import type { RoleBase } from "../role-base.ts";
import { markLeft, unmarkLeft } from "./left-database.ts";
import { type CopiedTable, copyTable, firstWithRows, marksOf, sumOf } from "./table-copy.ts";

export const migrateError = defineErrors({
	migrate_running: { status: 409 },
	migrate_occupied: { status: 409 },
	migrate_nothing: { status: 404 },
	migrate_differs: { status: 500 },
	migrate_lost: { status: 503 },
});

export type Direction = "database" | "folder";
export type MigrateBase = Pick<RoleBase, "clock" | "random" | "logger" | "data" | "lifetime" | "health">;

/** A role whose state can be moved. */
export interface MovableRole {
	readonly name: string;
	/** In its data folder. */
	readonly file: string;
	/** @param path of the file, or of its draft. */
	openFolder(path: string): Promise<Tables<any>>;
	/** @throws WarrenError `migrate_running` while an instance of it serves from the database. */
	openDatabase(base: MigrateBase): Promise<OpenedDatabase>;
}

export interface OpenedDatabase {
	readonly db: Kysely<any>;
	/** Once both sides are open and up to date. */
	tables(folder: Kysely<any>): Promise<readonly CopiedTable[]>;
	/** What it has beside rows, once both sides have equal rows. @throws WarrenError `migrate_lost`: somebody serves from it. */
	finish(to: Direction): Promise<void>;
}

export interface Migrated {
	readonly role: string;
	readonly tables: number;
	readonly rows: number;
	/** By table: rows and the sum of their hashes, which both sides have. */
	readonly sums: Readonly<Record<string, { readonly rows: number; readonly sha256: string }>>;
	/** Where the file is now that the role left; null when it went into it. */
	readonly former: string | null;
}

/**
 * Moves a role's tables from a data folder into PostgreSQL, or back. Can be killed at any moment and started again: what
 * was copied stays, and nothing is given up on the other side before both are equal.
 * @throws WarrenError `data_in_use`, `migrate_running`, `migrate_occupied`, `migrate_nothing`, `migrate_differs`,
 *   `migrate_lost`, and those of the stores.
 */
export async function migrateRole(
	deps: RoleDeps,
	role: MovableRole,
	to: Direction,
	dataPath: string,
	say: (line: string) => void,
): Promise<Migrated> {
	const lifetime = new Lifetime();
	try {
		const data = lifetime.own(DataFolder.open(dataPath));
		return await move({ ...deps, data, lifetime, health: new HealthTable(deps.clock) }, role, to, say);
	} finally {
		await lifetime.close();
	}
}

async function move(
	base: MigrateBase,
	role: MovableRole,
	to: Direction,
	say: (line: string) => void,
): Promise<Migrated> {
	const { data } = base;
	const file = data.file(role.file);
	const draft = data.file(`${role.file}.coming`);
	if (to === "database" && !existsSync(file))
		throw migrateError("migrate_nothing", `There is no ${role.file} in ${data.path}.`, {
			fix: "Name its folder with --data.",
		});
	if (to === "folder" && existsSync(file)) {
		throw migrateError("migrate_occupied", `${file} exists already.`, {
			fix: "Move it away, or choose another --data.",
		});
	}
	const database = await role.openDatabase(base);
	const folder = base.lifetime.own(await role.openFolder(to === "database" ? file : draft));
	const [source, target] = to === "database" ? [folder.db, database.db] : [database.db, folder.db];
	const tables = await database.tables(folder.db);
	const marks = marksOf(target, tables);
	const occupied = (await marks.begun()) ? null : await firstWithRows(tables, target);
	if (occupied !== null) {
		throw migrateError("migrate_occupied", `The target holds rows already, in ${occupied}.`, {
			fix: to === "database" ? "Use an empty database." : "Use an empty folder.",
		});
	}
	let rows = 0;
	for (const table of tables)
		rows += await copyTable(table, source, target, (copied) => say(`${table.name}: ${copied} rows`));
	const sums: Record<string, { rows: number; sha256: string }> = {};
	for (const table of tables) {
		const [before, after] = [await sumOf(table, source), await sumOf(table, target)];
		if (`${before}` !== `${after}` || before.rows !== after.rows) {
			throw migrateError(
				"migrate_differs",
				`${table.name} has ${before.rows} rows with the sum ${before}, and ${after.rows} with ${after} where it was copied to.`,
				{ fix: "The source is as it was. Empty the target, and try again." },
			);
		}
		sums[table.name] = { rows: after.rows, sha256: `${after}` };
	}
	await database.finish(to);
	const done = { role: role.name, tables: tables.length, rows, sums };
	await folder.close();
	// Marks go last: whoever is killed before finds what was copied still marked as such.
	if (to === "folder") {
		renameSync(draft, file);
		await markLeft(database.db, role.name, base.clock.now());
		return { ...done, former: null };
	}
	const former = `${file}.moved`;
	// An embedded role that is started by mistake must not go on from here.
	renameSync(file, former);
	await unmarkLeft(database.db, role.name);
	await marks.remove();
	return { ...done, former };
}
