import { type HealthTable, messageOf } from "@warren/kernel";
import { Kysely, PostgresDialect } from "kysely";
import { Pool, type PoolConfig, types } from "pg";
import { storeError } from "./errors.ts";
import { migrate } from "./migrate.ts";
import { PostgresPresence, watchedClient } from "./postgres-client.ts";
import { checkEngine } from "./postgres-engine.ts";
import type { Schema, Tables } from "./tables.ts";

/** `host` may be the folder of a Unix socket. The password comes from a file or the environment, never from argv. */
export interface PostgresOptions {
	readonly host: string;
	readonly port?: number;
	readonly database: string;
	readonly user: string;
	readonly password?: string;
	/** PEM of the CA that signed the server's certificate; without it and `tls`, no TLS: a Unix socket or loopback. */
	readonly ca?: string;
	/** TLS, by the authorities that the runtime believes. */
	readonly tls?: boolean;
	/** Connections in all; 10 unless told. */
	readonly maxConnections?: number;
}

/** For a connection, or for one to be free. */
const connectTimeoutMs = 10_000;
/** An instance that was cut off in the middle of a transaction holds its locks this long at most. */
const idleInTransactionMs = 5_000;
const int8 = 20;

/** What `openPostgresTables` of the package opens, with its client. */
export async function openPostgresTables<DB>(
	options: PostgresOptions,
	schemas: readonly Schema[],
	deps: { readonly health?: HealthTable } = {},
): Promise<Tables<DB>> {
	const { ca, tls, maxConnections, ...where } = options;
	const name = `${options.database} on ${options.host}`;
	const config = {
		...where,
		max: maxConnections ?? 10,
		connectionTimeoutMillis: connectTimeoutMs,
		idle_in_transaction_session_timeout: idleInTransactionMs,
		keepAlive: true,
		...(ca === undefined ? { ssl: tls === true } : { ssl: { ca } }),
		types: {
			// Our 64-bit columns are times and counters, all below 2^53; the driver would make strings of them.
			getTypeParser: ((oid: number, format: "text") =>
				oid === int8 ? Number : types.getTypeParser(oid, format)) as typeof types.getTypeParser,
		},
	} satisfies PoolConfig;
	await bringUpToDate(new Pool(config), schemas, name);
	const presence = new PostgresPresence(name, deps.health);
	const pool = new Pool({ ...config, Client: watchedClient(presence) as never });
	// A connection that breaks while idle is replaced; without a listener it would end the process.
	pool.on("error", () => {});
	const db = new Kysely<DB>({
		dialect: new PostgresDialect({
			pool: {
				connect: () =>
					pool.connect().catch((cause: unknown) => {
						throw presence.fault(cause);
					}),
				end: () => pool.end(),
			},
		}),
	});
	return {
		db,
		close: async () => {
			presence.close();
			await db.destroy();
		},
	};
}

/** By connections without a time limit: a migration of large tables takes as long as it takes. */
async function bringUpToDate(pool: Pool, schemas: readonly Schema[], name: string): Promise<void> {
	pool.on("error", () => {});
	const db = new Kysely<unknown>({ dialect: new PostgresDialect({ pool }) });
	try {
		const client = await pool.connect();
		try {
			await checkEngine(client, name);
		} finally {
			client.release();
		}
		await migrate(db, schemas, name);
	} catch (failure) {
		if ((failure as { status?: unknown }).status !== undefined) throw failure;
		throw storeError("store_unreadable", `The database ${name} cannot be opened: ${messageOf(failure)}.`, {
			fix: fixFor(failure),
			cause: failure,
		});
	} finally {
		await db.destroy();
		// Nobody asked the tables' own connection before: then the pool is not its to end.
		if (!pool.ended) await pool.end();
	}
}

/** By SQLSTATE, where the engine itself refused. */
function fixFor(failure: unknown): string {
	switch ((failure as { code?: unknown }).code) {
		case "28P01":
		case "28000":
			return "Check the user and its password (WARREN_DATABASE, --database-password-file), and pg_hba.conf there.";
		case "3D000":
			return "Make it: createdb -O USER DATABASE";
		default:
			return "Check that PostgreSQL runs there, and its user and password.";
	}
}
