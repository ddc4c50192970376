import { type Audit, type Clock, RateLimit } from "@warren/kernel";
import type { RequestContext, Route } from "@warren/net";
import { dataHeaders } from "@warren/net";
import { z } from "zod";
import { backboneError } from "../errors.ts";
import type { Callers } from "../identity/callers.ts";
import type { Principal, Principals } from "../identity/principals.ts";
import type { SigningKeys } from "../identity/signing-keys.ts";
import { isPrintable, signUrlToken, tokenLimits } from "../protocol/tokens.ts";
import type { ActiveService, Services } from "../server/services.ts";
import { landingJson, landingText, show } from "./landing.ts";

export interface PrincipalRouteDeps {
	readonly clock: Clock;
	readonly audit: Audit;
	readonly principals: Principals;
	readonly callers: Callers;
	readonly services: Services;
	readonly signer: SigningKeys;
	readonly urlOf: (service: ActiveService) => Promise<string>;
	/** New principals wait for an administrator. */
	readonly approval: boolean;
	readonly domain: string;
	readonly baseUrl: string;
	/** Whether another role owns `/` here. */
	readonly landing: boolean;
	readonly health: () => string;
}

/** One address may register so many: a burst, then one every few minutes. */
export const registrationLimits = { perSecond: 1 / 300, burst: 10, maxKeys: 10_000 };

const line = (max: number) =>
	z
		.string()
		.trim()
		.max(max)
		.refine((text) => text === "" || isPrintable(text, max), "cannot be used");
const registration = z.object({
	name: line(tokenLimits.maxNameLength).min(1),
	email: line(tokenLimits.maxEmailLength).regex(/^[^\s@]+@[^\s@]+$/, "must be an e-mail address"),
	note: line(1000).default(""),
});
const urlTokenRequest = z.object({
	service: z.string().max(63),
	expires_in: z.int().min(1).max(tokenLimits.maxUrlTokenSeconds).default(3600),
	/** Narrower than the service, when given. */
	path: z.string().max(1024).startsWith("/").optional(),
	methods: z
		.array(z.string().regex(/^[A-Z]{1,20}$/))
		.min(1)
		.max(10)
		.optional(),
});

/** What clients of the backbone use: registration, their credential, signed links. Open to whoever reaches it. */
export function principalRoutes(deps: PrincipalRouteDeps): Route[] {
	const { principals, audit, clock } = deps;
	const registrations = new RateLimit(clock, registrationLimits);
	const open = { owner: "backbone", credentials: ["none"] } as const;

	/** @throws WarrenError 401, 403, 429. */
	const principalOf = async (context: RequestContext): Promise<Principal> => {
		const header = context.headers["x-backbone-principal"];
		if (typeof header !== "string")
			throw backboneError("unauthorized", "This needs x-backbone-principal, once.", {
				fix: "Register at POST /principals.",
			});
		const found = await deps.callers.principalOf(header, context.remoteAddress);
		if (!("ok" in found)) return found;
		throw backboneError(
			found.status === 401 ? "unauthorized" : found.status === 403 ? "forbidden" : "too_many",
			found.message,
			found.retryAfterMs === undefined ? {} : { details: { retryAfterMs: found.retryAfterMs } },
		);
	};

	return [
		...(deps.landing
			? [
					{
						...open,
						method: "GET",
						path: "/",
						about: { summary: "What this is, and how to register" },
						handle: async (context: RequestContext) => {
							if ((context.headers.accept ?? "").includes("application/json"))
								return show(context, landingJson(deps.baseUrl, deps.domain));
							return new Response(landingText(deps.baseUrl, deps.domain, `https://<service>.${deps.domain}`), {
								headers: { ...dataHeaders, "content-type": "text/plain; charset=utf-8" },
							});
						},
					} satisfies Route,
				]
			: []),
		{
			...open,
			method: "GET",
			path: "/healthz",
			about: { summary: "Whether it serves" },
			handle: (context) => show(context, { status: deps.health() }),
		},
		{
			...open,
			method: "GET",
			path: "/.well-known/jwks.json",
			about: { summary: "Keys that x-mosb-jwt is checked with" },
			handle: (context) => show(context, deps.signer.jwks(), 200, { "cache-control": "public, max-age=300" }),
		},
		{
			...open,
			method: "POST",
			path: "/principals",
			about: { summary: "Become a principal, with its credential", body: registration },
			maxBodyBytes: 8 * 1024,
			handle: async (context) => {
				const retryAfterMs = registrations.take(context.remoteAddress);
				if (retryAfterMs > 0)
					throw backboneError("too_many", "This address has registered many principals already.", {
						details: { retryAfterMs },
					});
				const { name, email, note } = await context.json(registration);
				const principal = await principals.register({
					name,
					email,
					note,
					address: context.remoteAddress,
					state: deps.approval ? "pending" : "active",
				});
				audit.record({
					actor: "anonymous",
					action: "backbone.principal.create",
					target: principal.principal_id,
					outcome: "ok",
					address: context.remoteAddress,
					details: { name, email, state: principal.state },
				});
				return show(
					context,
					{ principal_id: principal.principal_id, credential: principals.credentialOf(principal), principal },
					201,
				);
			},
		},
		{
			...open,
			method: "POST",
			path: "/principals/rotate",
			about: { summary: "A new credential in the old one's place" },
			handle: async (context) => {
				const before = await principalOf(context);
				const principal = await principals.rotate(before.principal_id, before.key_version);
				audit.record({
					actor: `principal:${principal.principal_id}`,
					action: "backbone.principal.rotate",
					target: principal.principal_id,
					outcome: "ok",
					address: context.remoteAddress,
					details: { key_version: principal.key_version },
				});
				return show(context, {
					principal_id: principal.principal_id,
					credential: principals.credentialOf(principal),
					principal,
				});
			},
		},
		{
			...open,
			method: "GET",
			path: "/principals/whoami",
			about: { summary: "What a service would be told about the caller" },
			handle: async (context) => {
				const principal = await principalOf(context);
				const name = context.query.get("service") ?? "";
				const service = deps.services.get(name);
				if (service === null) throw backboneError("unknown_service", `There is no service "${name.slice(0, 63)}".`);
				const caller = await deps.callers.judge(
					{
						credential: String(context.headers["x-backbone-principal"]),
						assertion: headerOnce(context, "x-backbone-assertion"),
						urlToken: null,
						cookieToken: null,
					},
					{ service: service.name, method: "GET", path: "/", now: clock.now() },
					context.remoteAddress,
				);
				if (!caller.ok) throw backboneError(caller.status === 401 ? "unauthorized" : "forbidden", caller.message);
				const lines = caller.lines.split("\r\n").filter((each) => each !== "");
				return show(context, {
					principal,
					service: service.name,
					url: await deps.urlOf(service),
					headers: Object.fromEntries(
						lines.map((each) => [each.slice(0, each.indexOf(":")), each.slice(each.indexOf(":") + 2)]),
					),
				});
			},
		},
		{
			...open,
			method: "POST",
			path: "/url-tokens",
			about: { summary: "A link that carries its own leave", body: urlTokenRequest },
			maxBodyBytes: 8 * 1024,
			handle: async (context) => {
				const principal = await principalOf(context);
				const asked = await context.json(urlTokenRequest);
				const service = deps.services.get(asked.service);
				if (service === null)
					throw backboneError("unknown_service", `There is no service "${asked.service.slice(0, 63)}".`);
				if (!(await principals.isGranted(principal.principal_id, service.name)))
					throw backboneError("forbidden", `Principal ${principal.principal_id} has no grant for "${service.name}".`);
				const expires = Math.floor(clock.now() / 1000) + asked.expires_in;
				const token = signUrlToken(principals.keyOf(principal), {
					p: principal.principal_id,
					k: principal.key_version,
					s: service.name,
					e: expires,
					...(asked.path === undefined ? {} : { d: asked.path }),
					...(asked.methods === undefined ? {} : { m: asked.methods }),
				});
				return show(context, {
					token,
					url: `${await deps.urlOf(service)}${asked.path ?? ""}?_mosb=${token}`,
					service: service.name,
					expires_at: expires,
				});
			},
		},
	];
}

function headerOnce(context: RequestContext, name: string): string | null {
	const value = context.headers[name];
	return value === undefined ? null : String(value);
}
