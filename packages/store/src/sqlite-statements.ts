import type { DatabaseSync, StatementSync } from "node:sqlite";
import { messageOf, WarrenError } from "@warren/kernel";
import { storeError } from "./errors.ts";
import type { Statements, StatementValue } from "./tables.ts";

/** Prepared statements are kept: their texts are literals of the code, so there are few. */
export class SqliteStatements implements Statements {
	readonly #database: DatabaseSync;
	readonly #prepared = new Map<string, StatementSync>();

	constructor(database: DatabaseSync) {
		this.#database = database;
	}

	run(sql: string, ...values: readonly StatementValue[]): number {
		return Number(this.#prepare(sql).run(...values).changes);
	}

	all<Row>(sql: string, ...values: readonly StatementValue[]): Row[] {
		return this.#prepare(sql).all(...values) as Row[];
	}

	transaction<T>(work: () => T): T {
		// Somebody's is open across a turn on this connection: never joined, never rolled back from here.
		if (this.#database.isTransaction) {
			throw storeError("store_busy", "Another transaction is open on this database.");
		}
		try {
			this.#database.exec("BEGIN IMMEDIATE");
			const result = work();
			this.#database.exec("COMMIT");
			return result;
		} catch (cause) {
			// A full disk may have rolled it back already.
			if (this.#database.isOpen && this.#database.isTransaction) this.#database.exec("ROLLBACK");
			throw cause instanceof WarrenError ? cause : failure(cause);
		}
	}

	#prepare(sql: string): StatementSync {
		let statement = this.#prepared.get(sql);
		if (statement === undefined) {
			statement = this.#database.prepare(sql);
			this.#prepared.set(sql, statement);
		}
		return statement;
	}
}

/** SQLITE_FULL: a result code of SQLite, the low byte of what node:sqlite reports. */
const sqliteFull = 13;

/** @returns null when it is another fault than a full disk. */
export function diskFull(cause: unknown): WarrenError | null {
	const code = Number((cause as { errcode?: number }).errcode ?? 0) & 0xff;
	if (code !== sqliteFull) return null;
	return storeError("store_full", "The disk is full: nothing was written.", { fix: "Free some space.", cause });
}

function failure(cause: unknown): WarrenError {
	return (
		diskFull(cause) ?? storeError("store_failed", `The database refused to write: ${messageOf(cause)}.`, { cause })
	);
}
