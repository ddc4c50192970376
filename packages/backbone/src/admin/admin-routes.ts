import { type Audit, describeIdentity, type HealthTable, parseRequest } from "@warren/kernel";
import { canonicalHost, dataHeaders, type Metrics, parseHost, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import { backboneError } from "../errors.ts";
import type { Principals } from "../identity/principals.ts";
import type { SigningKeys } from "../identity/signing-keys.ts";
import { isPrintable, tokenLimits } from "../protocol/tokens.ts";
import type { AgentPool } from "../server/agents/agent-pool.ts";
import type { Front } from "../server/front.ts";
import type { Inspector } from "../server/inspector.ts";
import type { ActiveService, Services } from "../server/services.ts";
import { show } from "./landing.ts";

export interface AdminRouteDeps {
	readonly audit: Audit;
	readonly principals: Principals;
	readonly services: Services;
	readonly pool: AgentPool;
	readonly front: () => Front;
	readonly inspector: Inspector;
	readonly metrics: Metrics;
	readonly urlOf: (service: ActiveService) => Promise<string>;
	/** @throws WarrenError `conflict` when the service could not have that port. */
	readonly checkPort: (service: ActiveService, port: number) => Promise<void>;
	readonly cluster: () => Promise<unknown>;
	/** Those that hang at other nodes of the cluster. */
	readonly agentsElsewhere: (service: string) => readonly { readonly agent: string; readonly node: string }[];
	readonly replay: (service: ActiveService, id: string) => Promise<{ status: number; body: string }>;
	readonly domain: string;
	readonly health: HealthTable;
	readonly signer: SigningKeys;
}

const cidrs = z.array(z.string().max(60)).max(256);
/** Fewer than one in three hours is no limit but a refusal: the waits that clients are told grow out of all measure. */
const rate = z.number().min(0.0001).max(1e12);
const settingsSchema = z
	.object({
		require_identity: z.boolean(),
		allow: cidrs,
		deny: cidrs,
		/** Null takes a limit away. */
		requests_per_second: rate.nullable(),
		bytes_per_second: rate.nullable(),
		max_body_bytes: z.int().min(0).nullable(),
		inspect: z.boolean(),
	})
	.partial();
const tokenBody = z.object({
	service_name: z.string().max(100),
	kind: z.enum(["http", "h2", "tcp", "udp"]).optional(),
	/** Of a service that this makes: from its first moment on. */
	settings: settingsSchema.optional(),
});
const newPrincipalBody = z.object({
	name: z
		.string()
		.trim()
		.min(1)
		.refine((text) => isPrintable(text, tokenLimits.maxNameLength), "cannot be used"),
	email: z
		.string()
		.regex(/^[^\s@]+@[^\s@]+$/, "must be an e-mail address")
		.refine((text) => isPrintable(text, tokenLimits.maxEmailLength), "cannot be used"),
	note: z.string().max(1000).default(""),
});
const grantBody = z.object({ principal_id: z.string().max(100), service: z.string().max(100) });
const principalBody = z.object({
	state: z.literal("active").optional(),
	limits: z.object({ requests_per_second: rate, bytes_per_second: rate }).partial().optional(),
});
const serviceBody = z.object({
	settings: settingsSchema.optional(),
	/** A port of its own, for who has no wildcard DNS; null gives it back. */
	port: z.int().min(1).max(65535).nullable().optional(),
	domains: z.array(z.string().max(253)).max(50).optional(),
});
const auditQuery = z.object({
	limit: z.coerce.number().pipe(z.int().min(1).max(500)).default(100),
	before: z.coerce.number().pipe(z.int().min(1)).optional(),
	actor: z.string().max(200).optional(),
});

/** `/admin/api/*`: everything an administrator does, each change with its line in the audit. */
export function adminRoutes(deps: AdminRouteDeps): Route[] {
	const { services, principals, pool } = deps;
	const facts = { owner: "backbone", credentials: ["admin"] } as const;
	const record = (
		context: RequestContext,
		action: string,
		target: string,
		details?: Readonly<Record<string, unknown>>,
	) =>
		deps.audit.record({
			actor: context.identity === null ? "anonymous" : describeIdentity(context.identity),
			action: `backbone.${action}`,
			target,
			outcome: "ok",
			address: context.remoteAddress,
			...(details === undefined ? {} : { details }),
		});
	const actorOf = (context: RequestContext) => (context.identity === null ? "" : describeIdentity(context.identity));
	const param = (context: RequestContext, name: string) => context.params[name] ?? "";
	const serviceNamed = (name: string): ActiveService => {
		const service = services.get(name);
		if (service === null) throw backboneError("unknown_service", `There is no service "${name.slice(0, 63)}".`);
		return service;
	};
	const serviceShown = async (service: ActiveService) => ({
		service: service.name,
		kind: service.kind,
		url: await deps.urlOf(service),
		port: service.port,
		domains: service.domains,
		settings: shownSettings(service),
		created_at: service.created_at,
		connected: pool.of(service.name).live,
		agents: pool.of(service.name).own.map((agent) => agent.status()),
		...(deps.agentsElsewhere(service.name).length === 0
			? {}
			: { agents_elsewhere: deps.agentsElsewhere(service.name) }),
		...(deps.front().counts.get(service.name) ?? { requests: 0, errors: 0, refused: 0 }),
	});

	return [
		{
			...facts,
			method: "POST",
			path: "/admin/api/tokens",
			about: { summary: "Make a service token, shown once", body: tokenBody },
			handle: async (context) => {
				const body = await context.json(tokenBody);
				const { token, row } = await services.createToken(body.service_name, {
					...(body.kind === undefined ? {} : { kind: body.kind }),
					...(body.settings === undefined ? {} : { settings: camel(body.settings) }),
					by: actorOf(context),
				});
				record(context, "token.create", row.id, { service: row.service });
				const service = serviceNamed(row.service);
				return show(context, { token, ...row, kind: service.kind, url: await deps.urlOf(service) }, 201);
			},
		},
		{
			...facts,
			method: "GET",
			path: "/admin/api/tokens",
			about: { summary: "Service tokens" },
			handle: async (context) => show(context, { tokens: await services.tokens() }),
		},
		{
			...facts,
			method: "DELETE",
			path: "/admin/api/tokens/:id",
			about: { summary: "Revoke a service token" },
			handle: async (context) => {
				const row = await services.revokeToken(param(context, "id"));
				record(context, "token.revoke", row.id, { service: row.service });
				return show(context, { revoked: row.id, service: row.service });
			},
		},
		{
			...facts,
			method: "POST",
			path: "/admin/api/grants",
			about: { summary: "Let a principal reach a service", body: grantBody },
			handle: async (context) => {
				const { principal_id, service } = await context.json(grantBody);
				const isNew = await principals.grant(principal_id, service, actorOf(context));
				record(context, "grant.create", `${principal_id} ${service}`);
				return show(context, { principal_id, service }, isNew ? 201 : 200);
			},
		},
		{
			...facts,
			method: "DELETE",
			path: "/admin/api/grants/:pid/:svc",
			about: { summary: "Take a grant away" },
			handle: async (context) => {
				const principal = param(context, "pid");
				const service = param(context, "svc");
				if (!(await principals.revokeGrant(principal, service)))
					throw backboneError(
						"unknown_principal",
						`Principal ${principal.slice(0, 60)} has no grant for "${service.slice(0, 63)}".`,
					);
				// What runs already was let in by that grant.
				deps.front().disconnect((each) => each.principalId === principal && each.service === service);
				record(context, "grant.revoke", `${principal} ${service}`);
				return show(context, { revoked: { principal_id: principal, service } });
			},
		},
		{
			...facts,
			method: "GET",
			path: "/admin/api/grants/:pid",
			about: { summary: "Grants of a principal" },
			handle: async (context) => {
				const principal = await principals.get(param(context, "pid"));
				return show(context, { grants: await principals.grantsOf(principal.principal_id) });
			},
		},
		{
			...facts,
			method: "GET",
			path: "/admin/api/principals",
			about: { summary: "Principals" },
			handle: async (context) => show(context, { principals: await principals.list() }),
		},
		{
			...facts,
			method: "POST",
			path: "/admin/api/principals",
			about: { summary: "Make a principal, with its credential", body: newPrincipalBody },
			handle: async (context) => {
				const { name, email, note } = await context.json(newPrincipalBody);
				const address = context.remoteAddress;
				const principal = await principals.register({ name, email, note, address, state: "active" });
				record(context, "principal.create", principal.principal_id, { name, email });
				const credential = principals.credentialOf(principal);
				return show(context, { principal_id: principal.principal_id, credential, principal }, 201);
			},
		},
		{
			...facts,
			method: "PATCH",
			path: "/admin/api/principals/:cid",
			about: { summary: "Approve a principal, set its limits", body: principalBody },
			handle: async (context) => {
				const body = await context.json(principalBody);
				const principal = await principals.set(param(context, "cid"), {
					...(body.state === undefined ? {} : { state: body.state }),
					...(body.limits === undefined ? {} : { limits: camel(body.limits) }),
				});
				record(context, "principal.change", principal.principal_id, body);
				return show(context, { principal });
			},
		},
		{
			...facts,
			method: "DELETE",
			path: "/admin/api/principals/:cid",
			about: { summary: "Revoke a principal" },
			handle: async (context) => {
				const principal = await principals.set(param(context, "cid"), { state: "revoked" });
				deps.front().disconnect((each) => each.principalId === principal.principal_id);
				record(context, "principal.revoke", principal.principal_id);
				return show(context, { revoked: principal.principal_id });
			},
		},
		{
			...facts,
			method: "GET",
			path: "/admin/api/services",
			about: { summary: "Services with their agents" },
			handle: async (context) => show(context, { services: await Promise.all(services.list().map(serviceShown)) }),
		},
		{
			...facts,
			method: "PATCH",
			path: "/admin/api/services/:svc",
			about: { summary: "Change a service's settings, port, domains", body: serviceBody },
			handle: async (context) => {
				const body = await context.json(serviceBody);
				const before = serviceNamed(param(context, "svc"));
				const change = {
					...(body.settings === undefined ? {} : { settings: camel(body.settings) }),
					...(body.port === undefined ? {} : { port: body.port }),
					...(body.domains === undefined ? {} : { domains: body.domains.map((each) => domainOf(each, deps.domain)) }),
				};
				const service = await services.update(before.name, change, deps.checkPort);
				record(context, "service.change", service.name, body);
				return show(context, await serviceShown(service));
			},
		},
		{
			...facts,
			method: "DELETE",
			path: "/admin/api/services/:svc",
			about: { summary: "Remove a service" },
			handle: async (context) => {
				const { name } = serviceNamed(param(context, "svc"));
				await services.remove(name);
				deps.front().disconnect((each) => each.service === name);
				record(context, "service.delete", name);
				return show(context, { removed: name });
			},
		},
		{
			...facts,
			method: "GET",
			path: "/admin/api/services/:svc/requests",
			about: { summary: "Requests that the inspector kept" },
			handle: (context) => show(context, { requests: deps.inspector.list(serviceNamed(param(context, "svc")).name) }),
		},
		{
			...facts,
			method: "POST",
			path: "/admin/api/services/:svc/requests/:id/replay",
			about: { summary: "Send a kept request again" },
			handle: async (context) => {
				const service = serviceNamed(param(context, "svc"));
				const answer = await deps.replay(service, param(context, "id"));
				record(context, "request.replay", service.name, { id: param(context, "id") });
				return show(context, answer);
			},
		},
		{
			...facts,
			method: "GET",
			path: "/admin/api/cluster",
			about: { summary: "Nodes of the cluster" },
			handle: async (context) => show(context, await deps.cluster()),
		},
		{
			...facts,
			method: "POST",
			path: "/admin/api/jwt-keys/rotate",
			about: { summary: "Sign with a new key" },
			handle: async (context) => {
				const { kid, from } = await deps.signer.rotate();
				record(context, "jwt-key.rotate", kid);
				return show(context, { kid, from });
			},
		},
		{
			...facts,
			method: "GET",
			path: "/admin/api/health",
			about: { summary: "Health, with its conditions" },
			handle: (context) => show(context, { status: deps.health.summary(), conditions: deps.health.list() }),
		},
		{
			...facts,
			method: "GET",
			path: "/admin/api/audit",
			about: { summary: "Who did what", query: auditQuery },
			handle: async (context) => {
				const { limit, before, actor } = parseRequest(auditQuery, Object.fromEntries(context.query));
				return show(context, {
					records: await deps.audit.list({
						// Other roles may write into the same table.
						role: "backbone",
						limit,
						...(before === undefined ? {} : { before }),
						...(actor === undefined ? {} : { actor }),
					}),
				});
			},
		},
		{
			...facts,
			method: "GET",
			path: "/metrics",
			about: { summary: "Metrics for Prometheus" },
			handle: async () =>
				new Response(await deps.metrics.text(), {
					headers: { ...dataHeaders, "content-type": deps.metrics.registry.contentType },
				}),
		},
	];
}

function domainOf(text: string, own: string): string {
	const parsed = parseHost(text);
	const host = parsed === null || parsed.port !== null ? "" : parsed.host;
	if (!/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(host))
		throw backboneError("bad_request", `"${text.slice(0, 100)}" is not a domain name.`);
	const domain = canonicalHost(own);
	if (host === domain || host.endsWith(`.${domain}`))
		throw backboneError("bad_request", `${host} lies in ${domain}: names there are the services' own.`);
	return host;
}

const words: Readonly<Record<string, string>> = {
	require_identity: "requireIdentity",
	requests_per_second: "requestsPerSecond",
	bytes_per_second: "bytesPerSecond",
	max_body_bytes: "maxBodyBytes",
};

/** The API's names to ours. */
function camel(body: Readonly<Record<string, unknown>>): Record<string, never> {
	return Object.fromEntries(Object.entries(body).map(([name, value]) => [words[name] ?? name, value])) as Record<
		string,
		never
	>;
}

function shownSettings(service: ActiveService): Record<string, unknown> {
	const back = new Map(Object.entries(words).map(([shown, name]) => [name, shown]));
	return Object.fromEntries(Object.entries(service.settings).map(([name, value]) => [back.get(name) ?? name, value]));
}
