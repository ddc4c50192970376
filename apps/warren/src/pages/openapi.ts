import type { CredentialKind } from "@warren/kernel";
import type { Route } from "@warren/net";
import { z } from "zod";

type Json = Record<string, unknown>;

const errorSchema = {
	type: "object",
	required: ["error", "message", "retryable"],
	properties: {
		error: { type: "string" },
		message: { type: "string" },
		fix: { type: "string" },
		retryable: { type: "boolean" },
	},
};

/** How each kind of credential travels (docs/api-hub.md); kinds that are not here have no scheme of OpenAPI's. */
const schemes: Partial<Record<CredentialKind, Json>> = {
	session: {
		type: "http",
		scheme: "bearer",
		description: "A person's session, or an API key; or the session's cookie",
	},
	node: { type: "http", scheme: "bearer", description: "A machine's token: wn_…" },
	admin: { type: "http", scheme: "bearer", description: "The console's token: wl_…" },
};

/** OpenAPI 3.1 of the routes that say what they are about, with the schemas that their handlers read bodies with. */
export function openApiOf(routes: readonly Route[], info: { readonly title: string; readonly version: string }): Json {
	const paths: Record<string, Json> = {};
	for (const { method, path, summary, body, credentials, owner } of routes.flatMap(described)) {
		const named = path.replace(/:([^/]+)/g, "{$1}");
		const verb = method === "WS" || method === "ALL" ? "get" : method.toLowerCase();
		const at = (paths[named] ??= {});
		// A WebSocket and a request at one path: the request is what OpenAPI can say.
		if (verb in at) continue;
		at[verb] = {
			summary: method === "WS" ? `${summary} (WebSocket)` : summary,
			tags: [tagOf(path)],
			"x-role": owner,
			...(method === "WS" ? { "x-websocket": true } : {}),
			parameters: [...named.matchAll(/\{([^}]+)\}/g)].map(([, name]) => ({
				name,
				in: "path",
				required: true,
				schema: { type: "string" },
			})),
			...(body === undefined
				? {}
				: { requestBody: { required: true, content: { "application/json": { schema: jsonSchemaOf(body) } } } }),
			responses: {
				[method === "WS" ? "101" : "2XX"]: { description: method === "WS" ? "Upgraded" : "Done" },
				default: {
					description: "Refused, and why",
					content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
				},
			},
			security: securityOf(credentials),
		};
	}
	return {
		openapi: "3.1.0",
		info,
		paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
		components: { schemas: { Error: errorSchema }, securitySchemes: schemes },
	};
}

interface Described {
	readonly owner: string;
	readonly credentials: readonly CredentialKind[];
	readonly method: Route["method"];
	readonly path: string;
	readonly summary: string;
	readonly body?: z.ZodType | undefined;
}

function described(route: Route): Described[] {
	const { about, credentials, owner, method, path } = route;
	if (about === undefined) return [];
	const facts = { credentials, owner };
	const { paths } = about;
	if (paths !== undefined) return paths.map((each) => ({ ...facts, ...each }));
	return [{ ...facts, method, path, summary: about.summary, body: about.body }];
}

function tagOf(path: string): string {
	const [first = "", second = ""] = path.slice(1).split("/");
	return first === "v1" ? second : first;
}

function securityOf(credentials: readonly CredentialKind[]): Json[] {
	return credentials.flatMap((kind) => (kind === "none" ? [{}] : kind in schemes ? [{ [kind]: [] }] : []));
}

/** What a client sends, before defaults and transformations. */
function jsonSchemaOf(schema: z.ZodType): Json {
	const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Json;
	return rest;
}
