import { badRequest, type Clock, defineErrors, newId, parseRequest, type Random } from "@warren/kernel";
import type { Doc } from "yjs";
import { Map as YMap } from "yjs";
import {
	type Fields,
	type FieldValue,
	isNestedTooDeep,
	nameSchema,
	parseTable,
	rowSchema,
	schemaLimits,
	type Table,
} from "./schema.ts";

export const workspaceError = defineErrors({
	unknown_table: { status: 404, fix: "List the workspace's tables first." },
	unknown_row: { status: 404, fix: "Its rows may have changed: list them again." },
	too_many: { status: 409, fix: "Remove a table that is no longer used." },
	read_only: { status: 403, fix: "Ask the owner for a share that may write." },
});

export interface Row {
	readonly id: string;
	readonly created_at: string;
	readonly updated_at: string;
	readonly [column: string]: FieldValue;
}

export interface RowQuery {
	readonly limit: number;
	/** The id of the last row of the page before. */
	readonly after?: string;
	/** Column to value, as text; all must match. */
	readonly filter: Readonly<Record<string, string>>;
	readonly sort?: { readonly column: string; readonly descending: boolean };
}

/**
 * A workspace over its document:
 *
 *   Y.Map "schema"        table name → definition (JSON)
 *   Y.Map "rows:<table>"  row id → Y.Map of its fields
 *
 * A row is a Y.Map, so that two devices that change different columns of one row both win. What a document holds that
 * does not fit its schema (an older device wrote it) is shown as it is, never dropped.
 */
export class Workspace {
	readonly #doc: Doc;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #readOnly: boolean;

	constructor(doc: Doc, options: { readonly clock: Clock; readonly random: Random; readonly readOnly: boolean }) {
		this.#doc = doc;
		this.#clock = options.clock;
		this.#random = options.random;
		this.#readOnly = options.readOnly;
	}

	/** Whoever shares the document writes its schema as they like: a name that is none would stand in URLs and in code. */
	tables(): Record<string, Table> {
		const tables: Record<string, Table> = {};
		const named = [...this.#schema.entries()].filter(([name]) => nameSchema.safeParse(name).success);
		for (const [name, definition] of named.sort(([a], [b]) => (a < b ? -1 : 1)).slice(0, schemaLimits.maxTables)) {
			try {
				tables[name] = parseTable(definition);
			} catch {
				// Written by a newer version: it stays in the document, and is not offered here.
			}
		}
		return tables;
	}

	/** @throws WarrenError `unknown_table`. */
	table(name: string): Table {
		const tables = this.tables();
		const table = Object.hasOwn(tables, name) ? tables[name] : undefined;
		if (table === undefined)
			throw workspaceError("unknown_table", `This workspace has no table "${name.slice(0, 60)}".`);
		return table;
	}

	/** Makes a table, or changes one; rows stay. @throws WarrenError `bad_request`, `too_many`, `read_only`. */
	defineTable(name: string, definition: unknown): Table {
		this.#assertWritable();
		parseRequest(nameSchema, name);
		const table = parseTable(definition);
		if (!this.#schema.has(name) && this.#schema.size >= schemaLimits.maxTables) {
			throw workspaceError("too_many", `This workspace already has ${schemaLimits.maxTables} tables.`);
		}
		this.#schema.set(name, table);
		return table;
	}

	/** Removes a table with its rows. */
	dropTable(name: string): void {
		this.#assertWritable();
		this.table(name);
		this.#doc.transact(() => {
			this.#schema.delete(name);
			this.#rows(name).clear();
		});
	}

	rows(name: string, query: RowQuery): { rows: Row[]; next: string | null; total: number } {
		const table = this.table(name);
		const { sort } = query;
		for (const column of [...Object.keys(query.filter), ...(sort === undefined ? [] : [sort.column])])
			this.#assertColumn(name, table, column);
		const matching = [...this.#rows(name)]
			.map(([id, fields]) => toRow(id, fields))
			.filter((row) => Object.entries(query.filter).every(([column, wanted]) => asText(row[column]) === wanted));
		matching.sort(
			(a, b) =>
				(sort === undefined ? 0 : compare(a[sort.column], b[sort.column]) * (sort.descending ? -1 : 1)) ||
				compare(a.created_at, b.created_at) ||
				compare(a.id, b.id),
		);
		const start = query.after === undefined ? 0 : matching.findIndex((row) => row.id === query.after) + 1;
		if (query.after !== undefined && start === 0)
			throw badRequest(`The row "${query.after.slice(0, 60)}" to go on after is not in this list.`);
		const rows = matching.slice(start, start + query.limit);
		return {
			rows,
			next: start + rows.length < matching.length ? (rows.at(-1)?.id ?? null) : null,
			total: matching.length,
		};
	}

	/** @throws WarrenError `unknown_row`. */
	row(name: string, id: string): Row {
		this.table(name);
		return toRow(id, this.#fields(name, id));
	}

	/** @throws WarrenError `bad_request` naming the column, its value and what it must be. */
	insert(name: string, input: unknown): Row {
		this.#assertWritable();
		const values = this.#parse(name, input, false);
		const id = newId(this.#random);
		const now = this.#timestamp();
		this.#doc.transact(() => {
			const fields = new YMap<FieldValue>();
			for (const [column, value] of Object.entries({ ...values, created_at: now, updated_at: now }))
				fields.set(column, value);
			this.#rows(name).set(id, fields);
		});
		return this.row(name, id);
	}

	/** Changes the columns that are given; null empties one. */
	update(name: string, id: string, input: unknown): Row {
		this.#assertWritable();
		const values = this.#parse(name, input, true);
		const fields = this.#fields(name, id);
		this.#doc.transact(() => {
			const row: YMap<unknown> = fields instanceof YMap ? fields : new YMap(Object.entries(fieldsOf(fields)));
			if (row !== fields) this.#rows(name).set(id, row);
			for (const [column, value] of Object.entries(values)) {
				if (value === null) row.delete(column);
				else row.set(column, value);
			}
			row.set("updated_at", this.#timestamp());
		});
		return this.row(name, id);
	}

	delete(name: string, id: string): void {
		this.#assertWritable();
		this.table(name);
		this.#fields(name, id);
		this.#rows(name).delete(id);
	}

	#parse(name: string, input: unknown, partial: boolean): Fields {
		const table = this.table(name);
		for (const [column, value] of Object.entries(input ?? {}))
			if (isNestedTooDeep(value))
				throw badRequest(`${column.slice(0, 60)}: must be nested at most ${schemaLimits.maxJsonDepth} deep.`);
		const values = parseRequest(rowSchema(table, partial), input);
		const given: Fields = {};
		for (const [column, value] of Object.entries(values)) {
			if (value === undefined || (value === null && !partial)) continue;
			const definition = table.columns[column];
			if (definition?.type === "reference" && typeof value === "string" && !this.#rows(definition.table).has(value)) {
				throw badRequest(`${column}: there is no row "${value}" in ${definition.table}.`);
			}
			given[column] = value;
		}
		return given;
	}

	#assertColumn(name: string, table: Table, column: string): void {
		if (!Object.hasOwn(table.columns, column) && !["id", "created_at", "updated_at"].includes(column))
			throw badRequest(`${name} has no column "${column.slice(0, 60)}".`);
	}

	#assertWritable(): void {
		if (this.#readOnly) throw workspaceError("read_only", "This workspace is shared with you for reading.");
	}

	/** A Y.Map; or whatever else a client that is not ours has put there. */
	#fields(name: string, id: string): unknown {
		const fields = this.#rows(name).get(id);
		if (fields === undefined) throw workspaceError("unknown_row", `${name} has no row "${id.slice(0, 60)}".`);
		return fields;
	}

	get #schema(): YMap<unknown> {
		return this.#doc.getMap("schema");
	}

	#rows(name: string): YMap<unknown> {
		return this.#doc.getMap(`rows:${name}`);
	}

	#timestamp(): string {
		return new Date(this.#clock.now()).toISOString();
	}
}

function toRow(id: string, fields: unknown): Row {
	const values = fieldsOf(fields);
	return {
		...values,
		id,
		created_at: asText(values["created_at"]),
		updated_at: asText(values["updated_at"]),
	};
}

/** The columns of a row, as JSON has them; none where something else stands in its place. */
function fieldsOf(fields: unknown): Fields {
	const values: unknown = fields instanceof YMap ? fields.toJSON() : fields;
	return isPlain(values) ? (asJson(values) as Fields) : {};
}

/**
 * A document holds more than JSON does: its whole numbers of 64 bits become text. What is nested deeper than a column may
 * be is cut there, so that one such row keeps no other from being shown.
 */
function asJson(value: unknown, left: number = schemaLimits.maxJsonDepth): FieldValue {
	if (typeof value === "bigint") return String(value);
	if (!Array.isArray(value) && !isPlain(value)) return value as FieldValue;
	if (left < 0) return "…";
	if (Array.isArray(value)) return value.map((each) => asJson(each, left - 1));
	return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, asJson(each, left - 1)]));
}

function isPlain(value: unknown): value is object {
	return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

function asText(value: FieldValue | undefined): string {
	return value === undefined || value === null ? "" : typeof value === "object" ? JSON.stringify(value) : String(value);
}

function compare(a: FieldValue | undefined, b: FieldValue | undefined): number {
	if (typeof a === "number" && typeof b === "number") return a - b;
	const left = asText(a);
	const right = asText(b);
	return left < right ? -1 : left > right ? 1 : 0;
}
