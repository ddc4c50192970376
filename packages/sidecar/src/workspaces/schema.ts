import { badRequest, parseRequest } from "@warren/kernel";
import { z } from "zod";

/**
 * The shape of a workspace's tables, kept in its own document, so that every device validates by the same one. Names
 * are what URLs, columns and generated tools are called.
 */
export const nameSchema = z
	.string()
	.regex(/^[a-z][a-z0-9_]{0,47}$/, "must be 1 to 48 lower-case letters, digits or _, beginning with a letter");

export const schemaLimits = {
	maxTables: 100,
	maxColumns: 100,
	maxActions: 200,
	maxTextLength: 256 * 1024,
	maxOptions: 200,
	/** Of arrays and objects in one another, within a column. */
	maxJsonDepth: 100,
} as const;

const described = { description: z.string().max(500).optional(), required: z.boolean().default(false) };

const columnSchema = z.discriminatedUnion("type", [
	z.strictObject({ type: z.literal("text"), ...described }),
	z.strictObject({ type: z.literal("number"), ...described }),
	z.strictObject({ type: z.literal("boolean"), ...described }),
	/** RFC 3339 with a zone. */
	z.strictObject({ type: z.literal("date"), ...described }),
	z.strictObject({
		type: z.literal("select"),
		options: z.array(z.string().min(1).max(80)).min(1).max(schemaLimits.maxOptions),
		...described,
	}),
	z.strictObject({ type: z.literal("tags"), ...described }),
	/** The id of a row of another table. */
	z.strictObject({ type: z.literal("reference"), table: nameSchema, ...described }),
	z.strictObject({ type: z.literal("json"), ...described }),
]);

export const tableSchema = z.strictObject({
	description: z.string().max(500).optional(),
	columns: z
		.record(nameSchema, columnSchema)
		.refine(
			(columns) => Object.keys(columns).length <= schemaLimits.maxColumns,
			`takes at most ${schemaLimits.maxColumns} columns`,
		),
});

export type Column = z.infer<typeof columnSchema>;
export type Table = z.infer<typeof tableSchema>;
export type FieldValue = string | number | boolean | null | FieldValue[] | { [key: string]: FieldValue };
export type Fields = Record<string, FieldValue>;

const systemColumns = new Set(["id", "created_at", "updated_at"]);

/** @throws WarrenError `bad_request` for a column that every row has anyway. */
export function parseTable(input: unknown): Table {
	const table = parseRequest(tableSchema, input);
	const taken = Object.keys(table.columns).find((name) => systemColumns.has(name));
	if (taken !== undefined) throw badRequest(`A column cannot be called "${taken}": every row has it already.`);
	return table;
}

/** The rows that a table takes, as a zod schema. @param partial for changes: what is left out stays. */
export function rowSchema(table: Table, partial: boolean, anyJson: z.ZodType = z.json()): z.ZodType<Fields> {
	const shape: Record<string, z.ZodType> = {};
	for (const [name, column] of Object.entries(table.columns)) {
		const value = valueSchema(column, anyJson);
		shape[name] = column.required ? (partial ? value.optional() : value) : value.nullable().optional();
	}
	return z.strictObject(shape) as unknown as z.ZodType<Fields>;
}

function valueSchema(column: Column, anyJson: z.ZodType): z.ZodType {
	switch (column.type) {
		case "text":
			return z.string().max(schemaLimits.maxTextLength);
		case "number":
			return z.number();
		case "boolean":
			return z.boolean();
		case "date":
			return z.iso.datetime({ offset: true });
		case "select":
			return z.enum(column.options as [string, ...string[]]);
		case "tags":
			return z.array(z.string().min(1).max(80)).max(schemaLimits.maxOptions);
		case "reference":
			return z.string().min(1).max(64);
		case "json":
			return anyJson;
	}
}

/** Whether a value goes deeper than a column may: what is checked and shown by recursion would end at the stack's end. */
export function isNestedTooDeep(value: unknown, left: number = schemaLimits.maxJsonDepth): boolean {
	if (typeof value !== "object" || value === null) return false;
	return left === 0 || Object.values(value).some((each) => isNestedTooDeep(each, left - 1));
}

/**
 * JSON Schema of a table's rows, for OpenAPI and for generated tools. Anything that is JSON is anything there: a schema
 * that refers to itself would refer to the root of whatever document it is put into.
 */
export function rowJsonSchema(table: Table, partial: boolean): Record<string, unknown> {
	const { $schema: _dialect, ...schema } = z.toJSONSchema(rowSchema(table, partial, z.unknown())) as Record<
		string,
		unknown
	>;
	return schema;
}
