import { badRequest, defineErrors, parseRequest } from "@warren/kernel";
import { z } from "zod";
import { rowJsonSchema, type Table } from "./schema.ts";
import type { Workspace } from "./workspace.ts";

const actionError = defineErrors({ unknown_action: { status: 404, fix: "List the workspace's actions first." } });

export const defaultPageRows = 100;
export const maxPageRows = 1000;

/** Something that a workspace can be asked to do, by name: what programs and generated tools call. */
export interface Action {
	readonly name: string;
	readonly kind: "query" | "mutation";
	readonly description: string;
	/** JSON Schema of the input. */
	readonly input: Record<string, unknown>;
	readonly run: (workspace: Workspace, input: unknown) => unknown;
}

const listInput = z.strictObject({
	limit: z.int().min(1).max(maxPageRows).default(defaultPageRows),
	after: z.string().max(64).optional(),
	filter: z.record(z.string(), z.string().max(1000)).default({}),
	sort: z.string().max(64).optional(),
});
const idInput = z.strictObject({ id: z.string().min(1).max(64) });
const identified = z.looseObject({ id: z.string().min(1).max(64) });

/** Every action of a workspace: five for each table, made from its schema. */
export function actionsOf(workspace: Workspace): Action[] {
	return Object.entries(workspace.tables()).flatMap(([name, table]) => tableActions(name, table));
}

/** @throws WarrenError `unknown_action`. */
export function findAction(workspace: Workspace, name: string): Action {
	const found = actionsOf(workspace).find((action) => action.name === name);
	if (found === undefined) throw actionError("unknown_action", `This workspace has no action "${name.slice(0, 80)}".`);
	return found;
}

function tableActions(table: string, definition: Table): Action[] {
	const about = definition.description === undefined ? "" : ` (${definition.description})`;
	return [
		{
			name: `${table}_list`,
			kind: "query",
			description: `Lists rows of ${table}${about}; "sort" is a column, with - in front for descending.`,
			input: jsonSchema(listInput),
			run: (workspace, input) => {
				const { limit, after, filter, sort } = parseRequest(listInput, input ?? {});
				return workspace.rows(table, {
					limit,
					filter,
					...(after === undefined ? {} : { after }),
					...(sort === undefined ? {} : { sort: parseSort(sort) }),
				});
			},
		},
		{
			name: `${table}_get`,
			kind: "query",
			description: `Gives one row of ${table}${about}.`,
			input: jsonSchema(idInput),
			run: (workspace, input) => workspace.row(table, parseRequest(idInput, input).id),
		},
		{
			name: `${table}_create`,
			kind: "mutation",
			description: `Adds a row to ${table}${about}.`,
			input: rowJsonSchema(definition, false),
			run: (workspace, input) => workspace.insert(table, input),
		},
		{
			name: `${table}_update`,
			kind: "mutation",
			description: `Changes the given columns of one row of ${table}${about}.`,
			input: withId(rowJsonSchema(definition, true)),
			run: (workspace, input) => {
				const { id, ...values } = parseRequest(identified, input);
				return workspace.update(table, id, values);
			},
		},
		{
			name: `${table}_delete`,
			kind: "mutation",
			description: `Removes one row of ${table}${about}.`,
			input: jsonSchema(idInput),
			run: (workspace, input) => {
				const { id } = parseRequest(idInput, input);
				workspace.delete(table, id);
				return { deleted: id };
			},
		},
	];
}

/** `-created_at` → descending. */
export function parseSort(text: string): { column: string; descending: boolean } {
	const descending = text.startsWith("-");
	const column = descending ? text.slice(1) : text;
	if (column === "") throw badRequest("sort: must name a column.");
	return { column, descending };
}

function jsonSchema(schema: z.ZodType): Record<string, unknown> {
	const { $schema: _dialect, ...rest } = z.toJSONSchema(schema, { io: "input" }) as Record<string, unknown>;
	return rest;
}

function withId(schema: Record<string, unknown>): Record<string, unknown> {
	return {
		...schema,
		properties: { id: { type: "string" }, ...(schema["properties"] as object) },
		required: ["id", ...((schema["required"] as string[] | undefined) ?? [])],
	};
}
