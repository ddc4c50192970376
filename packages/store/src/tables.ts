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
