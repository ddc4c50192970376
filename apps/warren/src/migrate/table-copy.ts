import { engineOf } from "@warren/store";
import { type Kysely, type RawBuilder, sql, type Transaction } from "kysely";
import type { ProgressTable } from "./progress.ts";
import { forPostgres, forSqlite, type Meaning, meaningOf, TableSum } from "./row-values.ts";

type Db = Kysely<any>;

/** A table that both sides have. */
export interface CopiedTable {
	readonly name: string;
	/** By name; types are PostgreSQL's. */
	readonly columns: readonly { readonly name: string; readonly type: string }[];
	readonly key: readonly string[];
	/** Which of the database's rows are the role's; null = all. Others may keep theirs in the same table. */
	readonly own?: RawBuilder<boolean>;
	/** Columns of JSON text, which each side may spell in another order. */
	readonly json?: readonly string[];
	/** What stands for nothing, by column. */
	readonly empty?: Readonly<Record<string, string>>;
	/** In the table of progress; its name unless told. */
	readonly mark?: string;
}

/** Rows read and written at a time; fewer where a row may be a megabyte. */
const batchRows = 500;
const batchBlobRows = 16;

/** Of the engines, of the migration itself, and of what only several instances have. */
const notCopied = /^(kysely_|sqlite_|migrate_|cluster_)/;

/** Roles that write into one audit where they share a database; whatever none of them wrote is the hub's. */
const otherRoles = ["backbone", "gateway", "coordinator"];
const auditTable = "audit_records";

/**
 * The folder's tables; a database may hold other roles' beside them.
 * @param role whose. @param except tables that are moved otherwise. @throws Error naming what the database lacks.
 */
export async function tablesOf(role: string, postgres: Db, sqlite: Db, except?: RegExp): Promise<CopiedTable[]> {
	const [there, here] = await Promise.all([postgres.introspection.getTables(), sqlite.introspection.getTables()]);
	const names = (tables: typeof there) =>
		tables
			.map((each) => each.name)
			.filter((name) => !notCopied.test(name) && except?.test(name) !== true)
			.sort();
	const own = new Set(names(here));
	const lacking = own.difference(new Set(names(there)));
	if (lacking.size > 0) throw new Error(`the database lacks the tables ${[...lacking].join(", ")}`);
	const keys = await keysOf(postgres);
	const parents = await parentsOf(postgres);
	return parentsFirst(
		there
			.filter((each) => own.has(each.name))
			.sort((a, b) => (a.name < b.name ? -1 : 1))
			.map(({ name, columns }) => ({
				name,
				columns: columns
					// Records of several roles are numbered by whoever holds them.
					.filter((column) => name !== auditTable || column.name !== "id")
					.map((column) => ({ name: column.name, type: column.dataType }))
					.sort((a, b) => (a.name < b.name ? -1 : 1)),
				key: keys.get(name) ?? [],
				...(name === auditTable ? auditOf(role) : {}),
			})),
		parents,
	);
}

function auditOf(role: string): Pick<CopiedTable, "own" | "empty" | "mark"> {
	const others = sql.join(otherRoles.map((each) => sql.val(each)));
	const isOther = otherRoles.includes(role);
	return {
		own: isOther ? sql<boolean>`role = ${role}` : sql<boolean>`role not in (${others})`,
		// What was written before records had a role is the log's owner's.
		empty: { role },
		mark: isOther ? `${auditTable} of ${role}` : auditTable,
	};
}

/** A row that names another must come after it. */
function parentsFirst(tables: readonly CopiedTable[], parents: ReadonlyMap<string, readonly string[]>): CopiedTable[] {
	const ordered: CopiedTable[] = [];
	const visit = (table: CopiedTable) => {
		if (ordered.includes(table)) return;
		for (const parent of tables)
			if (parent !== table && parents.get(table.name)?.includes(parent.name) === true) visit(parent);
		ordered.push(table);
	};
	for (const table of tables) visit(table);
	return ordered;
}

async function parentsOf(postgres: Db): Promise<ReadonlyMap<string, string[]>> {
	const { rows } = await sql<{ child: string; parent: string }>`
		SELECT child.relname AS child, parent.relname AS parent FROM pg_constraint f
		JOIN pg_class child ON child.oid = f.conrelid JOIN pg_class parent ON parent.oid = f.confrelid
		WHERE f.contype = 'f' AND f.connamespace = current_schema()::regnamespace`.execute(postgres);
	const parents = new Map<string, string[]>();
	for (const { child, parent } of rows) parents.set(child, [...(parents.get(child) ?? []), parent]);
	return parents;
}

/** How far a target has come with these tables; beside them may stand another role's progress. */
export function marksOf(target: Db, tables: readonly CopiedTable[]) {
	const names = tables.map(markOf);
	return {
		begun: async () =>
			(await target
				.selectFrom("migrate_progress")
				.select("table_name")
				.where("table_name", "in", names)
				.executeTakeFirst()) !== undefined,
		remove: () => target.deleteFrom("migrate_progress").where("table_name", "in", names).execute(),
	};
}

function markOf({ name, mark }: CopiedTable): string {
	return mark ?? name;
}

/** Copies what is not there yet; a kill in between costs the last batch. @returns rows copied now. */
export async function copyTable(
	table: CopiedTable,
	from: Db,
	to: Kysely<any>,
	onBatch: (rows: number) => void,
): Promise<number> {
	const progress = await (to as Kysely<ProgressTable>)
		.selectFrom("migrate_progress")
		.selectAll()
		.where("table_name", "=", markOf(table))
		.executeTakeFirst();
	if (progress?.finished === 1) return 0;
	let after = progress === undefined ? null : (JSON.parse(progress.last_key) as unknown[]);
	let copied = 0;
	const write = engineOf(to) === "postgres" ? forPostgres : forSqlite;
	for (;;) {
		const rows = await readBatch(table, from, after);
		after = rows.length === 0 ? (after ?? []) : keyOf(table, rows.at(-1) as Record<string, unknown>);
		const finished = rows.length < batchOf(table) ? 1 : 0;
		await to.transaction().execute(async (work: Transaction<any>) => {
			const values = rows.map((row) =>
				Object.fromEntries(table.columns.map((column) => [column.name, write(valueOf(table, column, row))])),
			);
			if (values.length > 0) await work.insertInto(table.name).values(values).execute();
			const mark = { table_name: markOf(table), last_key: JSON.stringify(after), finished };
			await work
				.insertInto("migrate_progress")
				.values(mark)
				.onConflict((conflict) => conflict.column("table_name").doUpdateSet(mark))
				.execute();
		});
		copied += rows.length;
		onBatch(copied);
		if (finished === 1) break;
	}
	if (engineOf(to) === "postgres") await advanceSequences(table, to);
	return copied;
}

/** What a side has of a table, as one number. */
export async function sumOf(table: CopiedTable, db: Db): Promise<TableSum> {
	const sum = new TableSum();
	for (let after: unknown[] | null = null; ; ) {
		const rows: Record<string, unknown>[] = await readBatch(table, db, after);
		for (const row of rows) sum.add(table.columns.map((column) => valueOf(table, column, row)));
		if (rows.length < batchOf(table)) return sum;
		after = keyOf(table, rows.at(-1) as Record<string, unknown>);
	}
}

/** Whether a side holds anything of these tables. @returns the first that does, or null. */
export async function firstWithRows(tables: readonly CopiedTable[], db: Db): Promise<string | null> {
	for (const table of tables) if ((await rowsOf(table, db, 1).executeTakeFirst()) !== undefined) return table.name;
	return null;
}

async function readBatch(
	table: CopiedTable,
	db: Db,
	after: readonly unknown[] | null,
): Promise<Record<string, unknown>[]> {
	let query = rowsOf(table, db, batchOf(table));
	for (const column of table.key) query = query.orderBy(column);
	if (after !== null && after.length > 0) {
		const columns = sql.join(table.key.map((column) => sql.ref(column)));
		const values = sql.join(after.map((value) => sql.val(value)));
		query = query.where(sql<boolean>`(${columns}) > (${values})`);
	}
	return query.execute() as Promise<Record<string, unknown>[]>;
}

function rowsOf(table: CopiedTable, db: Db, limit: number) {
	const query = db.selectFrom(table.name).selectAll().limit(limit);
	return table.own === undefined || engineOf(db) === "sqlite" ? query : query.where(table.own);
}

/** The same on both sides. */
function valueOf(
	{ json, empty }: CopiedTable,
	{ name, type }: CopiedTable["columns"][number],
	row: Readonly<Record<string, unknown>>,
): Meaning {
	const meaning = meaningOf(type, row[name]);
	if (json?.includes(name) === true) return inOneSpelling(String(meaning));
	return meaning === "" ? (empty?.[name] ?? "") : meaning;
}

/** Of a flat object. */
function inOneSpelling(text: string): string {
	const value = JSON.parse(text) as Record<string, unknown>;
	return JSON.stringify(Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))));
}

function keyOf(table: CopiedTable, row: Record<string, unknown>): unknown[] {
	return table.key.map((column) => row[column]);
}

function batchOf(table: CopiedTable): number {
	return table.columns.some(({ type }) => type === "bytea") ? batchBlobRows : batchRows;
}

/** Primary keys, column by column, of PostgreSQL's side; SQLite has the same. */
async function keysOf(postgres: Db): Promise<ReadonlyMap<string, string[]>> {
	const { rows } = await sql<{ table: string; column: string }>`
		SELECT c.relname AS table, a.attname AS column FROM pg_index i
		JOIN pg_class c ON c.oid = i.indrelid JOIN pg_namespace n ON n.oid = c.relnamespace
		CROSS JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (attnum, place)
		JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = k.attnum
		WHERE i.indisprimary AND n.nspname = current_schema() ORDER BY c.relname, k.place`.execute(postgres);
	const keys = new Map<string, string[]>();
	for (const { table, column } of rows) keys.set(table, [...(keys.get(table) ?? []), column]);
	return keys;
}

/** Numbers that PostgreSQL gives go on after those that were copied. */
async function advanceSequences(table: CopiedTable, postgres: Db): Promise<void> {
	for (const { name, type } of table.columns) {
		if (!type.startsWith("int")) continue;
		await sql`SELECT setval(s.name::regclass, greatest((SELECT coalesce(max(${sql.ref(name)}), 0) FROM ${sql.table(table.name)}), 1))
			FROM (SELECT pg_get_serial_sequence(${table.name}, ${name}) AS name) AS s WHERE s.name IS NOT NULL`.execute(
			postgres,
		);
	}
}
