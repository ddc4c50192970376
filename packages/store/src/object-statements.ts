import { messageOf, WarrenError } from "@warren/kernel";
import { storeError } from "./errors.ts";
import { fromObject, type ObjectStorage, toObject } from "./object-storage.ts";
import type { Statements, StatementValue } from "./tables.ts";

/** Statements of a Durable Object; the storage keeps them prepared by itself. */
export class ObjectStatements implements Statements {
	readonly #storage: ObjectStorage;

	constructor(storage: ObjectStorage) {
		this.#storage = storage;
	}

	run(sql: string, ...values: readonly StatementValue[]): number {
		this.#exec(sql, values);
		return Number(this.#exec("SELECT changes() AS changes", [])[0]?.["changes"] ?? 0);
	}

	all<Row>(sql: string, ...values: readonly StatementValue[]): Row[] {
		return this.#exec(sql, values) as Row[];
	}

	transaction<T>(work: () => T): T {
		try {
			return this.#storage.transactionSync(work);
		} catch (cause) {
			if (cause instanceof WarrenError) throw cause;
			throw /SQLITE_FULL|database or disk is full/.test(messageOf(cause))
				? storeError("store_full", "This Durable Object is full: nothing was written.", { cause })
				: storeError("store_failed", `The database refused to write: ${messageOf(cause)}.`, { cause });
		}
	}

	#exec(sql: string, values: readonly StatementValue[]): Record<string, unknown>[] {
		return this.#storage.sql
			.exec(sql, ...values.map(toObject))
			.toArray()
			.map(fromObject);
	}
}
