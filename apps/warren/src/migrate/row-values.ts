import { createHash } from "node:crypto";

/** A value as both engines mean it: PostgreSQL's column types say what SQLite's integers and texts stand for. */
export type Meaning = string | number | boolean | Date | Uint8Array | null;

/** @param type of the column in PostgreSQL, as `pg_type` names it. */
export function meaningOf(type: string, value: unknown): Meaning {
	if (value === null || value === undefined) return null;
	if (type === "bool") return value === true || value === 1;
	if (type.startsWith("timestamp") || type === "date") return new Date(value as string | number | Date);
	if (type === "bytea") return value as Uint8Array;
	if (/^(int|float|numeric)/.test(type)) return Number(value);
	return typeof value === "object" ? JSON.stringify(value) : String(value);
}

export function forSqlite(meaning: Meaning): string | number | Uint8Array | null {
	if (typeof meaning === "boolean") return meaning ? 1 : 0;
	return meaning instanceof Date ? meaning.toISOString() : meaning;
}

export function forPostgres(meaning: Meaning): Meaning | Buffer {
	return meaning instanceof Uint8Array ? Buffer.from(meaning) : meaning;
}

const bits = 256n;

/** Of a set of rows, whatever their order: the sum of their hashes. Equal tables have equal sums. */
export class TableSum {
	#sum = 0n;
	rows = 0;

	/** @param row its values in the order of its columns' names. */
	add(row: readonly Meaning[]): void {
		const hash = createHash("sha256");
		for (const value of row) {
			const bytes = value instanceof Uint8Array ? value : Buffer.from(textOf(value));
			hash.update(`${value === null ? "null" : bytes.length}\n`).update(bytes);
		}
		this.#sum = BigInt.asUintN(Number(bits), this.#sum + BigInt(`0x${hash.digest("hex")}`));
		this.rows += 1;
	}

	toString(): string {
		return this.#sum.toString(16).padStart(64, "0");
	}
}

function textOf(value: Exclude<Meaning, Uint8Array>): string {
	return value instanceof Date ? value.toISOString() : String(value);
}
