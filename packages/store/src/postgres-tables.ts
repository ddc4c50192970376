import { messageOf } from "@warren/kernel";
import { Kysely, PostgresDialect } from "kysely";
import { Pool, type PoolConfig, types } from "pg";
import { storeError } from "./errors.ts";
import { migrate } from "./migrate.ts";
import type { Schema, Tables } from "./tables.ts";

/** `host` may be the folder of a Unix socket. The password comes from a file or the environment, never from argv. */
export interface PostgresOptions {
	readonly host: string;
	readonly port?: number;
	readonly database: string;
	readonly user: string;
	readonly password?: string;
	/** PEM of the CA that signed the server's certificate; without it, no TLS: a Unix socket or loopback. */
	readonly ca?: string;
	/** Connections in all; 10 unless told. */
	readonly maxConnections?: number;
}

const connectTimeoutMs = 10_000;
const int8 = 20;

/**
 * The same tables and migrations on PostgreSQL, where several processes share them.
 * @throws WarrenError `store_unreadable` (no connection, no permission), `store_newer`, `store_migration`.
 */
export async function openPostgresTables<DB>(
	options: PostgresOptions,
	schemas: readonly Schema[],
): Promise<Tables<DB>> {
	const { ca, maxConnections, ...where } = options;
	const pool = new Pool({
		...where,
		max: maxConnections ?? 10,
		connectionTimeoutMillis: connectTimeoutMs,
		...(ca === undefined ? {} : { ssl: { ca } }),
		types: {
			// Our 64-bit columns are times and counters, all below 2^53; the driver would make strings of them.
			getTypeParser: ((oid: number, format: "text") =>
				oid === int8 ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
		},
	} satisfies PoolConfig);
	// A connection that breaks while idle is replaced; without a listener it would end the process.
	pool.on("error", () => {});
	const db = new Kysely<DB>({ dialect: new PostgresDialect({ pool }) });
	const name = `${options.database} on ${options.host}`;
	try {
		(await pool.connect()).release();
		await migrate(db, schemas, name);
	} catch (failure) {
		await db.destroy();
		if ((failure as { status?: unknown }).status !== undefined) throw failure;
		throw storeError("store_unreadable", `The database ${name} cannot be opened: ${messageOf(failure)}.`, {
			fix: "Check that PostgreSQL runs there, and its user and password.",
			cause: failure,
		});
	}
	return { db, close: () => db.destroy() };
}
