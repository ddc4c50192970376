import { type Clock, RateLimit } from "@warren/kernel";
import { dataHeaders, type RequestContext, type Route, type RouteAbout, setupHeader } from "@warren/net";
import { type ClientAddressOf, type PageOriginOf, pageOriginHeader, vouchHeader } from "../client-address.ts";
import { deviceHeader, deviceNameOf } from "../device-name.ts";
import { accountsError } from "../errors.ts";
import { aboutAuth } from "./about.ts";
import type { Auth } from "./better-auth.ts";
import { addressHeader, basePath } from "./names.ts";
import { refusal } from "./refusal.ts";
import { type RequestFacts, requestFacts } from "./request-facts.ts";
import { type SocialProviders, type SocialService, socialNames } from "./social.ts";

/** One set-up of the library for each name of this server: cookies, passkeys and links depend on it. */
const maxOrigins = 64;
const newOrigins = { perSecond: 0.2, burst: 32, maxKeys: 1 } as const;

export interface AuthHandlerOptions {
	readonly addressOf: ClientAddressOf;
	readonly originOf: PageOriginOf;
	readonly social: SocialProviders;
	/** Origins that are this hub's own: always set up, however many others are asked for. */
	readonly ownOrigins: () => readonly string[];
	/** Names to which the services send people back, as they were told. */
	readonly socialHosts: ReadonlySet<string>;
}

/** Better Auth behind our listener: `ALL /auth/*`, and the aliases that the original has. */
export class AuthHandler {
	readonly #make: (origin: string) => Auth;
	/** Also what the rest of the hub speaks to the library through. */
	readonly #base: Auth;
	readonly #fresh: RateLimit;
	readonly #addressOf: ClientAddressOf;
	readonly #originOf: PageOriginOf;
	readonly #ownOrigins: () => readonly string[];
	readonly #social: SocialProviders;
	readonly #socialHosts: ReadonlySet<string>;
	readonly #byOrigin = new Map<string, Auth>();

	/** @param baseOrigin what stands in for a name when too many new ones come at once. */
	constructor(
		make: (origin: string) => Auth,
		baseOrigin: string,
		clock: Clock,
		{ addressOf, originOf, ownOrigins, social, socialHosts }: AuthHandlerOptions,
	) {
		this.#make = make;
		this.#base = make(baseOrigin);
		this.#byOrigin.set(baseOrigin, this.#base);
		this.#fresh = new RateLimit(clock, newOrigins);
		this.#addressOf = addressOf;
		this.#originOf = originOf;
		this.#ownOrigins = ownOrigins;
		this.#social = social;
		this.#socialHosts = socialHosts;
	}

	get base(): Auth {
		return this.#base;
	}

	#for(origin: string): Auth {
		let auth = this.#byOrigin.get(origin);
		if (auth === undefined) {
			const own = new Set(this.#ownOrigins());
			// A Host header may carry any port: whoever tries them all gets no set-up for each, and takes none from others.
			if (!own.has(origin) && this.#fresh.take("all") > 0) return this.#base;
			auth = this.#make(origin);
			if (this.#byOrigin.size >= maxOrigins) {
				const known = [...this.#byOrigin.keys()];
				this.#byOrigin.delete(known.find((each) => !own.has(each)) ?? (known[0] as string));
			}
			this.#byOrigin.set(origin, auth);
		}
		return auth;
	}

	routes(): Route[] {
		const route = (method: "ALL" | "POST", path: string, native: string | null, about: RouteAbout): Route => ({
			owner: "hub",
			method,
			path,
			about,
			// The library judges by itself: some of its paths are open, others take a cookie or a bearer token.
			credentials: ["none"],
			handle: (context) => this.answer(context, native ?? context.path),
		});
		return [
			route("POST", `${basePath}/login`, `${basePath}/sign-in/email`, aboutAuth.login),
			route("POST", `${basePath}/signup`, `${basePath}/sign-up/email`, aboutAuth.signup),
			{
				owner: "hub",
				method: "GET",
				path: `${basePath}/services`,
				about: aboutAuth.services,
				credentials: ["none"],
				handle: async (context) => Response.json({ services: await this.#offered(context) }, { headers: dataHeaders }),
			},
			route("ALL", `${basePath}/*`, null, aboutAuth.library),
		];
	}

	/** Other services by which the page that asks can sign people in. */
	async #offered(context: RequestContext): Promise<{ readonly id: SocialService; readonly name: string }[]> {
		const { hostname } = new URL(await this.#originOf(context));
		if (!this.#socialHosts.has(hostname)) return [];
		return (Object.keys(this.#social) as SocialService[]).map((id) => ({ id, name: socialNames[id] }));
	}

	async answer(context: RequestContext, path: string): Promise<Response> {
		const remoteAddress = await this.#addressOf(context);
		const origin = await this.#originOf(context);
		const facts: RequestFacts = {
			remoteAddress,
			setupSecret: headerOf(context, setupHeader) ?? null,
			deviceName: deviceNameOf(headerOf(context, deviceHeader), headerOf(context, "user-agent")),
			role: null,
			invited: null,
			admitted: false,
			undo: null,
			fault: null,
		};
		const request = await nativeRequest(context, path, { remoteAddress, origin });
		let response: Response;
		try {
			response = await requestFacts.run(facts, () => this.#for(origin).handler(request));
		} catch (fault) {
			await facts.undo?.();
			throw fault;
		}
		if (!response.ok) await facts.undo?.();
		// The library answers a fault without a word, and a sign-out by which no session ended as one that did.
		if (facts.fault !== null && (response.status >= 500 || path === `${basePath}/sign-out`)) throw facts.fault;
		return presentable(response, path, context.origin);
	}
}

/** The request as the library shall see it: the address is the socket's, the device flow's bodies are JSON. */
async function nativeRequest(
	context: RequestContext,
	path: string,
	{ remoteAddress, origin }: { readonly remoteAddress: string; readonly origin: string },
): Promise<Request> {
	const query = context.query.size === 0 ? "" : `?${context.query}`;
	const url = new URL(`${path}${query}`, origin);
	const headers = new Headers(context.request.headers);
	for (const name of [
		"x-forwarded-for",
		"x-forwarded-host",
		"x-forwarded-proto",
		"forwarded",
		"x-real-ip",
		vouchHeader,
		pageOriginHeader,
	])
		headers.delete(name);
	// The machine that passes it on has checked the page's origin against its own.
	if (origin !== context.origin && headers.has("origin")) headers.set("origin", origin);
	headers.set(addressHeader, remoteAddress);
	// A program that sends fetch metadata (Node's fetch does) but no Origin: a browser would send one with every POST.
	if (!headers.has("origin") && !headers.has("cookie"))
		for (const name of ["sec-fetch-site", "sec-fetch-mode", "sec-fetch-dest"]) headers.delete(name);
	const bodiless = context.method === "GET" || context.method === "HEAD";
	if (bodiless) return new Request(url, { method: context.method, headers });
	let body = await context.request.text();
	if (path.includes("/device")) {
		body = JSON.stringify(deviceBody(body, headers.get("content-type") ?? ""));
		headers.set("content-type", "application/json");
	}
	headers.delete("content-length");
	// An empty body with a type would be read as broken JSON.
	if (body === "") headers.delete("content-type");
	return new Request(url, { method: context.method, headers, ...(body === "" ? {} : { body }) });
}

/**
 * RFC 8628 sends forms, the library's /device/token wants JSON. And `user_id` binds a code to an account in advance:
 * that is never the client's to say.
 */
function deviceBody(text: string, type: string): Record<string, unknown> {
	let body: Record<string, unknown> = {};
	if (/^application\/x-www-form-urlencoded\b/i.test(type)) {
		for (const [name, value] of new URLSearchParams(text)) {
			if (name in body)
				throw accountsError("bad_code", `The form has the parameter "${name.slice(0, 40)}" twice (RFC 6749 §3.1).`, {
					fix: "Send each parameter once.",
				});
			// An empty parameter counts as absent.
			if (value !== "") body[name] = value;
		}
	} else if (text !== "") {
		try {
			const parsed: unknown = JSON.parse(text);
			if (typeof parsed === "object" && parsed !== null && !Array.isArray(parsed))
				body = parsed as Record<string, unknown>;
		} catch (cause) {
			throw accountsError("bad_code", `The body is not valid JSON: ${(cause as Error).message}.`, { fix: "" });
		}
	}
	const { user_id: _, ...rest } = body;
	return rest;
}

/** The library's answer in the shape of this API: errors carry `error`, nothing is cached, links carry fragments. */
async function presentable(response: Response, path: string, origin: string): Promise<Response> {
	const headers = new Headers(response.headers);
	for (const [name, value] of Object.entries(dataHeaders)) headers.set(name, value);
	const retry = headers.get("x-retry-after");
	if (retry !== null) headers.set("retry-after", retry);
	headers.delete("content-length");
	const json = (headers.get("content-type") ?? "").includes("json") || response.status === 429;
	if (!json || response.body === null) return new Response(response.body, { status: response.status, headers });
	const text = await response.text();
	const rewritten = rewrite(text, response, path, origin);
	if (rewritten !== null) headers.set("content-type", "application/json");
	return new Response(rewritten === null ? text : JSON.stringify(rewritten), { status: response.status, headers });
}

function rewrite(text: string, response: Response, path: string, origin: string): Record<string, unknown> | null {
	let body: unknown;
	try {
		body = JSON.parse(text === "" ? "{}" : text);
	} catch {
		return null;
	}
	if (typeof body !== "object" || body === null || Array.isArray(body)) return null;
	const fields = body as Record<string, unknown>;
	if (response.ok) {
		if (!path.endsWith("/device/code") || typeof fields["user_code"] !== "string") return null;
		const verification = `${origin}/#device`;
		// One-time codes travel in the fragment, never in a query.
		return {
			...fields,
			verification_uri: verification,
			verification_uri_complete: `${verification}=${fields["user_code"]}`,
		};
	}
	if (typeof fields["error"] === "string") return null;
	return refusal(fields, response.status);
}

function headerOf(context: RequestContext, name: string): string | undefined {
	const value = context.headers[name];
	return typeof value === "string" ? value : undefined;
}
