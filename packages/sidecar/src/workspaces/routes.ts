import { badRequest, type Clock, type CredentialKind, type Identity, parseRequest, type Random } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route, type RouteAbout } from "@warren/net";
import { z } from "zod";
import type { DocumentFacts, DocumentHost } from "../document-host.ts";
import { actionsOf, defaultPageRows, findAction, maxPageRows, parseSort } from "./actions.ts";
import { workspaceOpenApi } from "./openapi.ts";
import { Workspace } from "./workspace.ts";

export const workspaceKind = "workspace";

export interface WorkspaceRouteDeps {
	readonly documents: DocumentHost;
	readonly clock: Clock;
	readonly random: Random;
	/** The role that answers: `sidecar`, or `hub` where that serves them, too. */
	readonly owner: string;
	readonly credentials: readonly CredentialKind[];
}

const maxBodyBytes = 2 * 1024 * 1024;
const workspaceBody = z.strictObject({
	name: z.string().trim().min(1).max(120),
	tables: z.record(z.string(), z.unknown()).default({}),
});
/** What a workspace takes depends on its own schema: its own description says it. */
const anyBody = z.unknown();
const renameBody = z.strictObject({ name: z.string().trim().min(1).max(120) });
const rowsQuery = z.object({
	limit: z.coerce.number().pipe(z.int().min(1).max(maxPageRows)).default(defaultPageRows),
	after: z.string().max(64).optional(),
	sort: z.string().max(64).optional(),
});

/** `/workspaces`: workspaces, their tables, rows and actions. */
export function workspaceRoutes(deps: WorkspaceRouteDeps): Route[] {
	const facts = { owner: deps.owner, credentials: deps.credentials, maxBodyBytes } as const;
	const reading = (
		path: string,
		about: RouteAbout,
		read: (workspace: Workspace, context: RequestContext, document: DocumentFacts) => unknown,
	): Route => ({
		...facts,
		method: "GET",
		path: `/workspaces/:workspace${path}`,
		about,
		handle: (context) =>
			withWorkspace(deps, context, false, async (workspace, document) => json(200, read(workspace, context, document))),
	});
	const writing = (
		method: "POST" | "PUT" | "PATCH" | "DELETE",
		path: string,
		status: number,
		summary: string,
		write: (workspace: Workspace, input: unknown, context: RequestContext) => unknown,
	): Route => ({
		...facts,
		method,
		path: `/workspaces/:workspace${path}`,
		about: { summary, ...(method === "DELETE" ? {} : { body: anyBody }) },
		handle: async (context) => {
			const input = method === "DELETE" ? null : await context.json(anyBody);
			// Answered only once it is on disk.
			return withWorkspace(deps, context, true, async (workspace) => json(status, write(workspace, input, context)));
		},
	});
	const param = (context: RequestContext, name: string) => context.params[name] ?? "";
	return [
		...documentRoutes(deps, facts),
		reading("", { summary: "A workspace with its tables" }, (workspace, _context, document) => ({
			...describe(document),
			tables: workspace.tables(),
		})),
		reading("/openapi.json", { summary: "The description of a workspace's own API" }, (workspace, _context, document) =>
			workspaceOpenApi(document, workspace),
		),
		reading("/tables", { summary: "Tables" }, (workspace) => ({ tables: workspace.tables() })),
		reading("/tables/:table", { summary: "A table's schema" }, (workspace, context) =>
			workspace.table(param(context, "table")),
		),
		writing("PUT", "/tables/:table", 200, "Make or change a table", (workspace, input, context) =>
			workspace.defineTable(param(context, "table"), input),
		),
		writing("DELETE", "/tables/:table", 204, "Remove a table", (workspace, _input, context) =>
			workspace.dropTable(param(context, "table")),
		),
		reading("/tables/:table/rows", { summary: "Rows", query: rowsQuery }, (workspace, context) => {
			const { limit, after, sort } = parseRequest(rowsQuery, Object.fromEntries(context.query));
			return workspace.rows(param(context, "table"), {
				limit,
				filter: parseFilters(context.query.getAll("filter")),
				...(after === undefined ? {} : { after }),
				...(sort === undefined ? {} : { sort: parseSort(sort) }),
			});
		}),
		writing("POST", "/tables/:table/rows", 201, "Add a row", (workspace, input, context) =>
			workspace.insert(param(context, "table"), input),
		),
		reading("/tables/:table/rows/:row", { summary: "One row" }, (workspace, context) =>
			workspace.row(param(context, "table"), param(context, "row")),
		),
		writing("PATCH", "/tables/:table/rows/:row", 200, "Change a row", (workspace, input, context) =>
			workspace.update(param(context, "table"), param(context, "row"), input),
		),
		writing("DELETE", "/tables/:table/rows/:row", 204, "Remove a row", (workspace, _input, context) =>
			workspace.delete(param(context, "table"), param(context, "row")),
		),
		reading("/actions", { summary: "Actions" }, (workspace) => ({
			actions: actionsOf(workspace).map(({ run: _run, ...action }) => action),
		})),
		writing("POST", "/actions/:action", 200, "Run an action", (workspace, input, context) => ({
			result: findAction(workspace, param(context, "action")).run(workspace, input),
		})),
	];
}

function documentRoutes(
	deps: WorkspaceRouteDeps,
	facts: { owner: string; credentials: readonly CredentialKind[]; maxBodyBytes: number },
): Route[] {
	const { documents } = deps;
	const who = (context: RequestContext) => context.identity as Identity;
	return [
		{
			...facts,
			method: "GET",
			path: "/workspaces",
			about: { summary: "Workspaces" },
			handle: async (context) =>
				json(200, { workspaces: (await documents.list(who(context), workspaceKind)).map(describe) }),
		},
		{
			...facts,
			method: "POST",
			path: "/workspaces",
			about: { summary: "Make a workspace", body: workspaceBody },
			handle: async (context) => {
				const { name, tables } = await context.json(workspaceBody);
				const created = await documents.create(who(context), { kind: workspaceKind, name });
				const open = await documents.open(who(context), created.id);
				try {
					const workspace = new Workspace(open.doc, { clock: deps.clock, random: deps.random, readOnly: false });
					for (const [table, definition] of Object.entries(tables)) workspace.defineTable(table, definition);
					await open.flush();
					return json(201, { ...describe(open.facts), tables: workspace.tables() });
				} catch (refused) {
					// Half a workspace is none.
					await documents.delete(who(context), created.id);
					throw refused;
				} finally {
					open.close();
				}
			},
		},
		{
			...facts,
			method: "PATCH",
			path: "/workspaces/:workspace",
			about: { summary: "Rename a workspace", body: renameBody },
			handle: async (context) => {
				const { name } = await context.json(renameBody);
				return json(200, describe(await documents.rename(who(context), context.params["workspace"] ?? "", name)));
			},
		},
		{
			...facts,
			method: "DELETE",
			path: "/workspaces/:workspace",
			about: { summary: "Delete a workspace" },
			handle: async (context) => {
				await documents.delete(who(context), context.params["workspace"] ?? "");
				return json(204, undefined);
			},
		},
	];
}

async function withWorkspace(
	deps: WorkspaceRouteDeps,
	context: RequestContext,
	durable: boolean,
	act: (workspace: Workspace, document: DocumentFacts) => Promise<Response>,
): Promise<Response> {
	const open = await deps.documents.open(context.identity as Identity, context.params["workspace"] ?? "");
	try {
		const workspace = new Workspace(open.doc, {
			clock: deps.clock,
			random: deps.random,
			readOnly: open.facts.readOnly,
		});
		const response = await act(workspace, open.facts);
		if (durable) await open.flush();
		return response;
	} finally {
		open.close();
	}
}

function parseFilters(filters: readonly string[]): Record<string, string> {
	return Object.fromEntries(
		filters.map((filter) => {
			const colon = filter.indexOf(":");
			if (colon < 1) throw badRequest(`filter: "${filter.slice(0, 80)}" must be column:value.`);
			return [filter.slice(0, colon), filter.slice(colon + 1)];
		}),
	);
}

function describe({ id, name, createdAt, updatedAt, readOnly }: DocumentFacts) {
	return { id, name, createdAt, updatedAt, readOnly };
}

function json(status: number, body: unknown): Response {
	return status === 204
		? new Response(null, { status, headers: dataHeaders })
		: Response.json(body, { status, headers: dataHeaders });
}
