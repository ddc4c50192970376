import { DatabaseSync, type SQLInputValue } from "node:sqlite";

/** The storage of a Durable Object as its users see it, over a file: no BEGIN, no booleans, blobs as whole buffers. */
export class FakeObjectStorage implements Disposable {
	readonly #database: DatabaseSync;

	constructor(path: string) {
		this.#database = new DatabaseSync(path);
		// The platform's own: whoever looks at it is refused there.
		this.#database.exec("CREATE TABLE IF NOT EXISTS _cf_KV (key TEXT PRIMARY KEY, value BLOB)");
	}

	readonly sql = {
		exec: (sql: string, ...values: readonly unknown[]) => {
			if (/^\s*(begin|commit|rollback|savepoint)\b/i.test(sql))
				throw new Error("To execute a transaction, please use the storage's own.");
			const statement = this.#database.prepare(sql);
			const given = values.map(taken);
			const rows = statement.columns().length > 0 ? statement.all(...given) : (statement.run(...given), []);
			return { toArray: () => rows.map((row) => handedOut(row as Record<string, unknown>)) };
		},
	};

	async transaction<T>(work: () => Promise<T>): Promise<T> {
		this.#database.exec("BEGIN");
		try {
			const result = await work();
			this.#database.exec("COMMIT");
			return result;
		} catch (fault) {
			this.#database.exec("ROLLBACK");
			throw fault;
		}
	}

	transactionSync<T>(work: () => T): T {
		this.#database.exec("BEGIN");
		try {
			const result = work();
			this.#database.exec("COMMIT");
			return result;
		} catch (fault) {
			this.#database.exec("ROLLBACK");
			throw fault;
		}
	}

	[Symbol.dispose](): void {
		this.#database.close();
	}
}

function taken(value: unknown): SQLInputValue {
	if (value instanceof ArrayBuffer) return new Uint8Array(value);
	if (value === null || typeof value === "string" || typeof value === "number") return value;
	throw new Error(`a Durable Object's storage takes no ${typeof value}`);
}

function handedOut(row: Record<string, unknown>): Record<string, unknown> {
	return Object.fromEntries(
		Object.entries(row).map(([name, value]) => [name, value instanceof Uint8Array ? value.slice().buffer : value]),
	);
}
