import type { DocumentFacts } from "../document-host.ts";
import { actionsOf } from "./actions.ts";
import { rowJsonSchema } from "./schema.ts";
import type { Workspace } from "./workspace.ts";

/** OpenAPI 3.1 of one workspace, made from the schema that it has now. */
export function workspaceOpenApi(facts: DocumentFacts, workspace: Workspace): Record<string, unknown> {
	const base = `/workspaces/${facts.id}`;
	const paths: Record<string, unknown> = {};
	const schemas: Record<string, unknown> = { Error: errorSchema };
	for (const [name, table] of Object.entries(workspace.tables())) {
		schemas[name] = rowSchemaOf(rowJsonSchema(table, false));
		const ref = { $ref: `#/components/schemas/${name}` };
		const rowsPath = `${base}/tables/${name}/rows`;
		paths[rowsPath] = {
			get: operation(
				`List rows of ${name}`,
				{ rows: { type: "array", items: ref }, next: { type: ["string", "null"] }, total: { type: "integer" } },
				listParameters,
			),
			post: { ...operation(`Add a row to ${name}`, ref), requestBody: jsonBody(rowJsonSchema(table, false)) },
		};
		const id = [{ name: "row", in: "path", required: true, schema: { type: "string" } }];
		paths[`${rowsPath}/{row}`] = {
			get: operation(`One row of ${name}`, ref, id),
			patch: { ...operation(`Change a row of ${name}`, ref, id), requestBody: jsonBody(rowJsonSchema(table, true)) },
			delete: {
				summary: `Remove a row of ${name}`,
				parameters: id,
				responses: { 204: { description: "Removed" }, default: failure },
			},
		};
	}
	for (const action of actionsOf(workspace)) {
		paths[`${base}/actions/${action.name}`] = {
			post: {
				...operation(action.description, { result: {} }),
				operationId: action.name,
				requestBody: jsonBody(action.input),
			},
		};
	}
	return {
		openapi: "3.1.0",
		info: { title: facts.name, version: "1" },
		paths,
		components: { schemas, securitySchemes: { session: { type: "http", scheme: "bearer" } } },
		security: [{ session: [] }],
	};
}

const errorSchema = {
	type: "object",
	required: ["error", "message"],
	properties: {
		error: { type: "string" },
		message: { type: "string" },
		fix: { type: "string" },
		retryable: { type: "boolean" },
	},
};
const failure = {
	description: "What happened and what to do",
	content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
};
const listParameters = [
	{ name: "limit", in: "query", schema: { type: "integer", minimum: 1, maximum: 1000 } },
	{ name: "after", in: "query", schema: { type: "string" } },
	{ name: "sort", in: "query", schema: { type: "string" } },
	{
		name: "filter",
		in: "query",
		description: "column:value, repeatable",
		schema: { type: "array", items: { type: "string" } },
	},
];

function operation(
	summary: string,
	answer: Record<string, unknown>,
	parameters: readonly unknown[] = [],
): Record<string, unknown> {
	const schema = "$ref" in answer ? answer : { type: "object", properties: answer };
	return {
		summary,
		parameters,
		responses: { "2XX": { description: summary, content: { "application/json": { schema } } }, default: failure },
	};
}

function jsonBody(schema: unknown): Record<string, unknown> {
	return { required: true, content: { "application/json": { schema } } };
}

function rowSchemaOf(schema: Record<string, unknown>): Record<string, unknown> {
	const system = {
		id: { type: "string" },
		created_at: { type: "string", format: "date-time" },
		updated_at: { type: "string", format: "date-time" },
	};
	// A column that was made required later is absent from the rows of before.
	return { ...schema, required: Object.keys(system), properties: { ...system, ...(schema["properties"] as object) } };
}
