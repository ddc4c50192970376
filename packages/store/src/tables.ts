import type { Closeable } from "@warren/kernel";
import { type Kysely, type Migration, PostgresAdapter } from "kysely";

/**
 * Tables with numbered migrations: the durable half of the store. SQLite here, PostgreSQL by configuration later, one
 * contract suite for both (`tables.contract.ts`).
 */
export interface Tables<DB> extends Closeable {
	readonly db: Kysely<DB>;
}

/**
 * A door beside Kysely for what runs thousands of times a second: prepared once, many rows in one transaction, in one
 * turn of the event loop. SQLite alone has it; a contract above it (an append-only log) is what PostgreSQL would implement.
 */
export interface Statements {
	run(sql: string, ...values: readonly StatementValue[]): number;
	all<Row>(sql: string, ...values: readonly StatementValue[]): Row[];
	/** What it did is on disk when it returns, or nothing of it is. @throws WarrenError `store_full`, `store_busy`, `store_failed`. */
	transaction<T>(work: () => T): T;
}

export type StatementValue = string | number | Uint8Array | null;

/** Tables in a SQLite file. */
export interface SqliteTables<DB> extends Tables<DB> {
	readonly statements: Statements;
}

/**
 * One domain's schema. Names sort in the order they run: `001-devices`. A migration that has shipped never changes.
 * Every domain's tables carry its own prefix, so that several share a database.
 */
export interface Schema {
	/** Prefix of this domain's migrations: `node`, `terminal`, `peers`. */
	readonly domain: string;
	readonly migrations: Readonly<Record<string, Migration>>;
}

/** Which database stands behind it: the two differ in a few words of SQL. */
export function engineOf(db: Kysely<any>): "sqlite" | "postgres" {
	return db.getExecutor().adapter instanceof PostgresAdapter ? "postgres" : "sqlite";
}
