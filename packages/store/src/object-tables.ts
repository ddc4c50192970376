import {
	type CompiledQuery,
	type DatabaseConnection,
	type Dialect,
	type Driver,
	Kysely,
	type QueryResult,
	SqliteAdapter,
	SqliteIntrospector,
	SqliteQueryCompiler,
} from "kysely";
import { migrate } from "./migrate.ts";
import { ObjectStatements } from "./object-statements.ts";
import { fromObject, type ObjectStorage, toObject } from "./object-storage.ts";
import type { Schema, SqliteTables } from "./tables.ts";

/**
 * The same tables and migrations in the SQLite database of a Durable Object. No answer leaves the object before what was
 * written for it is on disk: the platform holds it back.
 * @param name what to call it in errors. @throws WarrenError `store_newer`, `store_migration`.
 */
export async function openObjectTables<DB>(
	storage: ObjectStorage,
	schemas: readonly Schema[],
	name: string,
): Promise<SqliteTables<DB>> {
	const db = new Kysely<DB>({ dialect: new ObjectDialect(storage) });
	await migrate(db, schemas, name);
	return { db, statements: new ObjectStatements(storage), close: () => db.destroy() };
}

class ObjectDialect implements Dialect {
	readonly #storage: ObjectStorage;

	constructor(storage: ObjectStorage) {
		this.#storage = storage;
	}

	createDriver = () => new ObjectDriver(this.#storage);
	createQueryCompiler = () => new SqliteQueryCompiler();
	createAdapter = () => new SqliteAdapter();
	createIntrospector = (db: Kysely<any>) => new SqliteIntrospector(db);
}

/** One connection, one user at a time: a transaction spans several turns. */
class ObjectDriver implements Driver {
	readonly #storage: ObjectStorage;
	readonly #connection: ObjectConnection;
	#free: Promise<void> = Promise.resolve();
	#release: () => void = () => {};
	#transaction: OpenTransaction | null = null;

	constructor(storage: ObjectStorage) {
		this.#storage = storage;
		this.#connection = new ObjectConnection(storage);
	}

	async init(): Promise<void> {}

	async acquireConnection(): Promise<DatabaseConnection> {
		const before = this.#free;
		let release = () => {};
		this.#free = new Promise((resolve) => {
			release = resolve;
		});
		await before;
		this.#release = release;
		return this.#connection;
	}

	async releaseConnection(): Promise<void> {
		this.#release();
	}

	/** BEGIN and COMMIT are not spoken here: the storage brackets a function, which waits for one of the two. */
	async beginTransaction(): Promise<void> {
		let begun = () => {};
		const beginning = new Promise<void>((resolve) => {
			begun = resolve;
		});
		let open!: Pick<OpenTransaction, "commit" | "rollback">;
		const ended = this.#storage.transaction(
			() =>
				new Promise<void>((commit, reject) => {
					open = { commit, rollback: () => reject(new RolledBack()) };
					begun();
				}),
		);
		await Promise.race([beginning, ended]);
		this.#transaction = { ...open, ended };
	}

	async commitTransaction(): Promise<void> {
		const transaction = this.#transaction;
		this.#transaction = null;
		transaction?.commit();
		await transaction?.ended;
	}

	async rollbackTransaction(): Promise<void> {
		const transaction = this.#transaction;
		this.#transaction = null;
		transaction?.rollback();
		await transaction?.ended.catch((fault: unknown) => {
			if (!(fault instanceof RolledBack)) throw fault;
		});
	}

	async destroy(): Promise<void> {}
}

interface OpenTransaction {
	readonly commit: () => void;
	readonly rollback: () => void;
	/** Settles when the storage has ended it. */
	readonly ended: Promise<void>;
}

class RolledBack extends Error {}

class ObjectConnection implements DatabaseConnection {
	readonly #storage: ObjectStorage;

	constructor(storage: ObjectStorage) {
		this.#storage = storage;
	}

	async executeQuery<R>({ sql, parameters, query }: CompiledQuery): Promise<QueryResult<R>> {
		const rows = this.#storage.sql
			.exec(overOwnTables(sql), ...parameters.map(toObject))
			.toArray()
			.map(fromObject) as R[];
		const writes = /^(Insert|Update|Delete|Merge|Raw)/.test(query.kind);
		if (!writes) return { rows };
		const [done] = this.#storage.sql.exec("SELECT changes() AS changes, last_insert_rowid() AS id").toArray();
		return {
			rows,
			numAffectedRows: BigInt(Number(done?.["changes"] ?? 0)),
			insertId: BigInt(Number(done?.["id"] ?? 0)),
		};
	}

	// oxlint-disable-next-line require-yield -- nobody streams from here
	async *streamQuery<R>(): AsyncIterableIterator<QueryResult<R>> {
		throw new Error("rows of a Durable Object are not streamed");
	}
}

/**
 * Who looks through all tables must not come upon the platform's own: asking for their columns or indexes is refused.
 * Libraries write such queries themselves.
 */
function overOwnTables(sql: string): string {
	return sql.replace(/\bfrom "?sqlite_master"?(?=\s)/gi, `FROM ${ownTables}`);
}

/** With a limit, so that the planner leaves it apart from what looks into each table. */
const ownTables = "(SELECT * FROM sqlite_master WHERE name NOT LIKE '\\_cf\\_%' ESCAPE '\\' LIMIT -1)";
