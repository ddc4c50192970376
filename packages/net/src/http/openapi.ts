import type { CredentialKind } from "@warren/kernel";
import { z } from "zod";
import { dataHeaders } from "./responses.ts";
import type { Method, Route } from "./route.ts";

type Json = Record<string, unknown>;

export interface OpenApiFacts {
	/** `Warren node`. */
	readonly title: string;
	readonly version: string;
	/** Instead of the usual schemes, kind by kind: where a machine shows a certificate. */
	readonly schemes?: Partial<Record<CredentialKind, Json>>;
}

const verbs = ["GET", "POST", "PUT", "PATCH", "DELETE"] as const;

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

const bearer = (description: string) => ({ type: "http", scheme: "bearer", description });

/** How each kind of credential travels; `none` has no scheme, and what goes inside a protocol none of OpenAPI's. */
const usualSchemes: Partial<Record<CredentialKind, Json>> = {
	basic: { type: "http", scheme: "basic", description: "User and PIN of this node" },
	device: bearer("A device's token: wd_…"),
	setup: { type: "apiKey", in: "header", name: "x-warren-setup", description: "The secret of the one-time setup link" },
	share: bearer("The token of a share link: ws_…"),
	session: bearer("A person's session, or an API key; or the session's cookie"),
	node: bearer("A machine's token: wn_…"),
	admin: bearer("An administrator's token"),
	join: bearer("A join code"),
};

/** Certificates instead of bearer tokens: the coordinator's. */
export const certificateSchemes: Partial<Record<CredentialKind, Json>> = {
	node: { type: "mutualTLS", description: "The machine's certificate" },
};

/**
 * The routes and one more: `GET /openapi.json`, their description, made when it is first asked for. A table that is
 * served this way cannot differ from what it says about itself.
 */
export function describedRoutes(
	routes: readonly Route[],
	facts: OpenApiFacts & { readonly owner: string; readonly credentials?: readonly CredentialKind[] },
): Route[] {
	let text: string | null = null;
	const own: Route = {
		owner: facts.owner,
		method: "GET",
		path: "/openapi.json",
		credentials: facts.credentials ?? ["none"],
		about: { summary: "This description" },
		handle: (): Response => {
			text ??= JSON.stringify(openApiOf(all, facts));
			return new Response(text, { headers: { ...dataHeaders, "content-type": "application/json" } });
		},
	};
	const all: Route[] = [...routes, own];
	return all;
}

/** OpenAPI 3.1 of the routes that are part of an API, with the schemas that their handlers read with. */
export function openApiOf(routes: readonly Route[], facts: OpenApiFacts): Json {
	const schemes = { ...usualSchemes, ...facts.schemes };
	const paths: Record<string, Json> = {};
	const used = new Set<CredentialKind>();
	for (const each of routes.flatMap(operationsOf)) {
		const at = (paths[each.path] ??= {});
		for (const kind of each.credentials) used.add(kind);
		const operation = operationFor(each, schemes);
		if (each.method !== "WS") at[each.method.toLowerCase()] = operation;
		// A request at the same path keeps the verb.
		else if (at["get"] === undefined) at["get"] = operation;
		else at["x-websocket"] = operation;
	}
	const securitySchemes = Object.fromEntries(
		Object.entries(schemes).filter(([kind]) => used.has(kind as CredentialKind)),
	);
	return {
		openapi: "3.1.0",
		info: { title: facts.title, version: facts.version },
		paths: Object.fromEntries(Object.entries(paths).sort(([a], [b]) => (a < b ? -1 : 1))),
		components: { schemas: { Error: errorSchema }, securitySchemes },
	};
}

interface Operation {
	readonly owner: string;
	readonly credentials: readonly CredentialKind[];
	readonly method: Exclude<Route["method"], "ALL">;
	/** `/api/peers/{peer}`. */
	readonly path: string;
	readonly summary: string;
	readonly query?: z.ZodObject | undefined;
	readonly body?: z.ZodType | undefined;
	readonly answers?: Readonly<Record<number, string>> | undefined;
}

/** What a route stands for in the description: nothing, itself, each verb of `ALL`, or the paths that it names. WebSockets come last. */
function operationsOf(route: Route): Operation[] {
	const { about, credentials, owner } = route;
	if (about === undefined || about === null) return [];
	const facts = { credentials, owner };
	const own = about.paths ?? [{ ...about, method: route.method, path: route.path }];
	return own.flatMap(({ method, path, ...rest }) =>
		verbsOf(method).map((verb) => ({ ...facts, ...rest, method: verb, path: templateOf(path) })),
	);
}

function verbsOf(method: Route["method"]): readonly Exclude<Route["method"], "ALL">[] {
	return method === "ALL" ? verbs : [method];
}

/** `/r/:peer/api/*` as OpenAPI writes it: `/r/{peer}/api/{rest}`. */
export function templateOf(path: string): string {
	return path.replace(/:([^/]+)/g, "{$1}").replace(/\*$/, "{rest}");
}

function operationFor(each: Operation, schemes: Partial<Record<CredentialKind, Json>>): Json {
	const isSocket = each.method === "WS";
	const { body, answers } = each;
	return {
		operationId: operationIdOf(each.method, each.path),
		summary: isSocket ? `${each.summary} (WebSocket)` : each.summary,
		tags: [tagOf(each.path)],
		"x-role": each.owner,
		...(isSocket ? { "x-websocket": true } : {}),
		parameters: [
			...[...each.path.matchAll(/\{([^}]+)\}/g)].map(([, name]) => ({
				name,
				in: "path",
				required: true,
				schema: { type: "string" },
			})),
			...queryOf(each.query),
		],
		...(body === undefined
			? {}
			: { requestBody: { required: true, content: { "application/json": { schema: jsonSchemaOf(body) } } } }),
		responses: {
			...(answers === undefined
				? { [isSocket ? "101" : "2XX"]: { description: isSocket ? "Upgraded" : "Done" } }
				: Object.fromEntries(Object.entries(answers).map(([status, description]) => [status, { description }]))),
			default: {
				description: "Refused, and why",
				content: { "application/json": { schema: { $ref: "#/components/schemas/Error" } } },
			},
		},
		security: each.credentials.flatMap((kind) => (kind === "none" ? [{}] : kind in schemes ? [{ [kind]: [] }] : [])),
	};
}

function queryOf(query: z.ZodObject | undefined): Json[] {
	if (query === undefined) return [];
	const { properties = {}, required = [] } = jsonSchemaOf(query) as {
		properties?: Record<string, Json>;
		required?: string[];
	};
	return Object.entries(properties).map(([name, { description, ...schema }]) => ({
		name,
		in: "query",
		required: required.includes(name),
		...(description === undefined ? {} : { description }),
		schema,
	}));
}

/** `getApiPeersByPeerPin`: one per operation, for programs that make clients. */
function operationIdOf(method: Method | "WS", path: string): string {
	const words = path
		.replace(/[^A-Za-z0-9{}/-]/g, "_")
		.split(/[/-]+/)
		.filter((word) => word !== "");
	const named = words.map((word) => (word.startsWith("{") ? `By${capital(word.slice(1, -1))}` : capital(word)));
	return `${method === "WS" ? "open" : method.toLowerCase()}${named.length === 0 ? "Root" : named.join("")}`;
}

function capital(word: string): string {
	return word.replace(/[{}]/g, "").replace(/^./, (first) => first.toUpperCase());
}

function tagOf(path: string): string {
	const [first = "", second = ""] = path.slice(1).split("/");
	const tag = first === "v1" || first === "api" ? second : first;
	return tag === "" ? "about" : tag;
}

/** What a client sends, before defaults and transformations. */
function jsonSchemaOf(schema: z.ZodType): Json {
	const { $schema: _, ...rest } = z.toJSONSchema(schema, { io: "input", unrepresentable: "any" }) as Json;
	return rest;
}
