import type { IncomingHttpHeaders } from "node:http";
import type { Authenticator, Credential, CredentialKind, Identity, WarrenError } from "@warren/kernel";
import { parseCredential, tokensElsewhere } from "./credentials.ts";
import { type HostTable, parseHost } from "./host-table.ts";
import { errorPage, isNavigation } from "./plain-page.ts";
import { httpError, refusal } from "./responses.ts";
import type { Route } from "./route.ts";
import { Router } from "./router.ts";

/** What a request says before its body, whoever received it. */
export interface RequestHead {
	readonly method: string;
	/** Path and query, as sent. */
	readonly target: string;
	/** Lower-case names; of a header that came twice, what the receiver's parser kept. */
	readonly headers: IncomingHttpHeaders;
	/** How often a header came. @param name lower case. */
	readonly countOf: (name: string) => number;
	readonly secure: boolean;
	/** The address that it came to, where there is one. */
	readonly localAddress: string | undefined;
	/** The client's, after trusted proxies. */
	readonly remoteAddress: string;
	/** The other end of the connection is a proxy that the operator named. */
	readonly throughProxy: boolean;
	/** The client's certificate, where one was asked for. */
	readonly certificate: () => Credential | null;
}

/** Where a request goes, once Host and path were accepted. */
export interface AcceptedTarget {
	readonly path: string;
	readonly query: URLSearchParams;
	/** `https://host:port` as the client named this server. */
	readonly origin: string;
}

/** Who asks, once the route's credentials were checked. */
export interface AcceptedCredential {
	readonly identity: Identity | null;
	readonly credential: CredentialKind;
	/** For the far side of a relay. A secret. */
	readonly upstreamAuthorization: string | null;
}

export interface RequestGateOptions {
	readonly hosts: HostTable;
	readonly routes: readonly Route[];
	readonly authenticator: Authenticator;
	readonly corsOrigins?: ReadonlySet<string> | undefined;
	readonly cookieName?: string | undefined;
}

/**
 * The order in which every request is judged, over Node's sockets and over Fetch alike: Host table, path rules, route,
 * Origin, credential. Whatever it does not let through is thrown.
 */
export class RequestGate {
	readonly #options: RequestGateOptions;
	readonly #router: Router;
	/** First segments of paths that are the API's and no page's. */
	readonly #apis: ReadonlySet<string>;

	/** @throws Error when two routes claim the same method and path. */
	constructor(options: RequestGateOptions) {
		this.#options = options;
		this.#router = new Router(options.routes);
		const firstOf = ({ path }: Route) => path.split("/", 2)[1] as string;
		const pages = new Set(options.routes.filter(({ about }) => about === null).map(firstOf));
		this.#apis = new Set(options.routes.map(firstOf).filter((first) => first !== "" && !pages.has(first)));
	}

	routes(): readonly Route[] {
		return this.#router.routes();
	}

	/** Host and path rules. @throws WarrenError 400, 421. */
	readTarget(head: RequestHead): AcceptedTarget {
		const host = String(head.headers.host ?? "");
		const parsed = head.countOf("host") === 1 ? parseHost(host) : null;
		if (parsed === null) throw httpError("bad_request", "The request needs exactly one well-formed Host header.");
		if (!this.#options.hosts.accepts(parsed.host, head.localAddress)) {
			throw httpError("wrong_host", `"${parsed.host}" is not a name of this server.`);
		}
		const { target } = head;
		const question = target.indexOf("?");
		const path = question === -1 ? target : target.slice(0, question);
		const query = new URLSearchParams(question === -1 ? "" : target.slice(question + 1));
		return { path, query, origin: `${head.secure ? "https" : "http"}://${host.toLowerCase()}` };
	}

	/** @param method an HTTP method, or `WS` for an upgrade. @throws WarrenError 400, 404, 405. */
	findRoute(method: string, path: string): { route: Route; params: Record<string, string> } {
		const match = this.#router.match(method, path);
		switch (match.found) {
			case "route":
				return match;
			case "bad-path":
				throw httpError("bad_request", `This path is refused: ${match.reason}.`);
			case "method":
				throw httpError("method_not_allowed", `${method} is not for ${path}; it takes ${match.allowed.join(", ")}.`, {
					details: { allowed: match.allowed },
				});
			case "nothing":
				throw httpError("not_found", `There is nothing at ${path.slice(0, 200)}.`);
		}
	}

	/**
	 * Where no route took a request: the page for whoever went there with a browser. Null for programs, and below paths
	 * that are the API's.
	 */
	pageOf(head: RequestHead, error: WarrenError): string | null {
		if (!isNavigation(head.method, head.headers)) return null;
		const first = head.target.split(/[/?]/, 2)[1] ?? "";
		if (this.#apis.has(first)) return null;
		return errorPage(error, this.#router.match("GET", "/").found === "route");
	}

	/**
	 * A page of another origin never changes anything here, whatever it holds. Programs send no Origin.
	 * Behind a proxy that ends TLS the scheme differs; the host may not.
	 * @throws WarrenError 403.
	 */
	checkOrigin(head: RequestHead, own: string): void {
		const { origin } = head.headers;
		if (origin === undefined || origin === own || this.#options.corsOrigins?.has(origin)) return;
		if (head.throughProxy && origin === own.replace(/^http:/, "https:")) return;
		throw httpError("bad_origin", `A page of ${origin.slice(0, 200)} may not do this here.`);
	}

	/** @param upgrade for a WebSocket: subprotocols may carry the proof. @throws WarrenError 401, 403, 429, 503. */
	async authenticate(
		head: RequestHead,
		route: Route,
		{ path, query }: AcceptedTarget,
		upgrade: boolean,
	): Promise<AcceptedCredential> {
		if (route.credentials.length === 1 && route.credentials[0] === "none") return anonymous;
		// The parser keeps the first of several and says nothing: whoever stands in front may have checked the last.
		if (head.countOf("authorization") > 1)
			throw httpError("unauthorized", "The request has more than one Authorization header.");
		const elsewhere = tokensElsewhere(route.tokenPlaces, head.headers, query);
		const credential =
			parseCredential(head.headers, upgrade, this.#options.cookieName ?? null, elsewhere) ?? head.certificate();
		if (credential === null) {
			if (route.credentials.includes("none")) return anonymous;
			throw httpError("unauthorized", "This needs a credential, and the request has none.", {
				fix: `Send one of: ${route.credentials.join(", ")}.`,
			});
		}
		if (credential.scheme === "malformed")
			throw httpError("unauthorized", `This needs a credential, and ${credential.reason}.`);
		const { remoteAddress } = head;
		const verdict = await this.#options.authenticator.authenticate(credential, {
			accepts: route.credentials,
			remoteAddress,
			path,
		});
		if (verdict === null) throw httpError("unauthorized", "This credential is not known here.");
		if (!verdict.ok) throw refusal(verdict);
		if (!route.credentials.includes(verdict.kind)) {
			throw httpError("forbidden", `The credential is of the kind "${verdict.kind}", which is not taken here.`, {
				fix: `Send one of: ${route.credentials.join(", ")}.`,
			});
		}
		const { identity, kind, upstreamAuthorization } = verdict;
		return { identity, credential: kind, upstreamAuthorization: upstreamAuthorization ?? null };
	}

	/** CORS answers for pages of the named origins; empty for all others. */
	corsHeaders(origin: string | undefined): Record<string, string> {
		if (origin === undefined || !this.#options.corsOrigins?.has(origin)) return {};
		return {
			"access-control-allow-origin": origin,
			"access-control-allow-methods": "GET, POST, PUT, PATCH, DELETE",
			"access-control-allow-headers": "authorization, content-type",
			"access-control-max-age": "600",
			vary: "origin",
		};
	}
}

const anonymous: AcceptedCredential = { identity: null, credential: "none", upstreamAuthorization: null };
