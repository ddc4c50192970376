import { defineErrors } from "@warren/kernel";
import type { Kysely } from "kysely";

const leftError = defineErrors({ database_left: { status: 409 } });

/**
 * A database that a role has left keeps its tables as they were. Whoever starts on it by mistake would go on from that
 * day, beside the folder that has gone on since.
 */
export async function markLeft(db: Kysely<any>, role: string, at: number): Promise<void> {
	const row = { table_name: markOf(role), last_key: String(at), finished: 1 };
	await db
		.insertInto("migrate_progress")
		.values(row)
		.onConflict((conflict) => conflict.column("table_name").doUpdateSet(row))
		.execute();
}

/** It came back. */
export async function unmarkLeft(db: Kysely<any>, role: string): Promise<void> {
	await db.deleteFrom("migrate_progress").where("table_name", "=", markOf(role)).execute();
}

/** @param db with `progressSchema`. @throws WarrenError `database_left`. */
export async function refuseLeft(db: Kysely<any>, role: string): Promise<void> {
	const row = await db
		.selectFrom("migrate_progress")
		.select("last_key")
		.where("table_name", "=", markOf(role))
		.executeTakeFirst();
	if (row === undefined) return;
	const at = new Date(Number(row.last_key)).toISOString();
	throw leftError("database_left", `The ${role} was moved out of this database into a folder, at ${at}.`, {
		fix: `Start it on that folder, without --database. To move it here again: drop this database, make an empty one, and warren migrate --role ${role} --to database.`,
	});
}

function markOf(role: string): string {
	return `left by ${role}`;
}
