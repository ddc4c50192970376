import { type AccountsTables, accountsSchema } from "@warren/accounts";
import { type AiTables, aiSchema } from "@warren/ai";
import { defineErrors, equalSecrets, hashToken, newId, newSecret, type Random } from "@warren/kernel";
import {
	type AuditTable,
	auditSchema,
	type InstallationTable,
	installationSchema,
	openObjectTables,
	openPostgresTables,
} from "@warren/store";
import { type SyncTables, syncSchema } from "@warren/sync";
import type { Kysely } from "kysely";
import type { EdgeDatabase } from "../config/edge-config.ts";
import type { DurableStorage } from "../platform.ts";
import { type AttendanceTable, attendanceSchema } from "./attendance.ts";
import { type OwedTable, owedSchema } from "./owed.ts";

export type EdgeTables = AccountsTables & SyncTables & AiTables & AuditTable;

export interface OpenedHubTables {
	readonly db: Kysely<EdgeTables>;
	/** In the object wherever the rest is: what is admitted is written there, which an object that another has replaced cannot. */
	readonly attendance: Kysely<AttendanceTable & OwedTable>;
	/** Of this installation; the same at every start. */
	readonly secret: string;
}

const tablesError = defineErrors({ tables_elsewhere: { status: 500 }, tables_foreign: { status: 500 } });
const schemas = [accountsSchema, syncSchema, aiSchema, auditSchema];
/** In the object's storage, once its tables are in a database. */
const elsewhere = "tables";

/**
 * In the hub's object, or in PostgreSQL. A hub never begins anew beside what it has: whoever changes the one for the other
 * is refused.
 * @throws WarrenError `tables_elsewhere`, `tables_foreign`, and those of the stores.
 */
export async function openHubTables(
	deps: { readonly storage: DurableStorage; readonly random: Random },
	database: EdgeDatabase | null,
): Promise<OpenedHubTables> {
	const { storage, random } = deps;
	const left = (await storage.get<string>(elsewhere)) !== undefined;
	if (database === null) {
		if (left)
			throw tablesError("tables_elsewhere", "This hub's tables stand in a database, and WARREN_DATABASE is not set.", {
				fix: "Set WARREN_DATABASE and WARREN_SECRET again.",
			});
		const { db } = await openObjectTables<EdgeTables & AttendanceTable & OwedTable>(
			storage,
			[...schemas, attendanceSchema, owedSchema],
			"of this hub",
		);
		return { db: db as never, attendance: db as never, secret: await kept(storage, "secret", () => newSecret(random)) };
	}
	if (!left && hasAccounts(storage))
		throw tablesError("tables_elsewhere", "WARREN_DATABASE is set, and this hub's accounts are in its own object.", {
			fix: "Delete WARREN_DATABASE, or deploy a hub of another name for the database.",
		});
	const { db } = await openPostgresTables<EdgeTables & InstallationTable>(database.postgres, [
		...schemas,
		installationSchema,
	]);
	await claim(db as never, database.secret, random);
	await storage.put(elsewhere, "database");
	const { db: attendance } = await openObjectTables<AttendanceTable & OwedTable>(
		storage,
		[attendanceSchema, owedSchema],
		"of this hub",
	);
	return { db: db as never, attendance, secret: database.secret };
}

/** Of another kind than a Node hub's: the same secret does not let one of those in, nor this one into theirs. */
async function claim(db: Kysely<InstallationTable>, secret: string, random: Random): Promise<void> {
	const hash = hashToken(`workers ${secret}`);
	await db
		.insertInto("cluster_identity")
		.values({ id: 1, install_id: newId(random), secret_hash: hash, ca_fingerprint: null })
		.onConflict((conflict) => conflict.doNothing())
		.execute();
	const { secret_hash } = await db.selectFrom("cluster_identity").select("secret_hash").executeTakeFirstOrThrow();
	if (equalSecrets(secret_hash, hash)) return;
	throw tablesError("tables_foreign", "The tables in WARREN_DATABASE belong to another hub.", {
		fix: "Set the WARREN_SECRET that they were made with, or use an empty database.",
	});
}

/** Whoever asked it before anybody had an account has only made empty tables. */
function hasAccounts({ sql }: DurableStorage): boolean {
	const made = sql.exec("SELECT name FROM sqlite_master WHERE name = 'auth_user'").toArray().length > 0;
	return made && sql.exec("SELECT id FROM auth_user LIMIT 1").toArray().length > 0;
}

/** Made at the first start, and kept with the object. */
async function kept(storage: DurableStorage, name: string, make: () => string): Promise<string> {
	const before = await storage.get<string>(name);
	if (before !== undefined) return before;
	const made = make();
	await storage.put(name, made);
	return made;
}
