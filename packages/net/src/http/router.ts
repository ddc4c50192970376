import type { Route } from "./route.ts";

interface Entry {
	readonly route: Route;
	readonly segments: readonly string[];
}

export type Match =
	| { readonly found: "route"; readonly route: Route; readonly params: Record<string, string> }
	/** The path exists, the method does not. */
	| { readonly found: "method"; readonly allowed: readonly string[] }
	| { readonly found: "nothing" }
	| { readonly found: "bad-path"; readonly reason: string };

/**
 * Finds the route of a request. Segment by segment on the raw path, so that an encoded slash never becomes a
 * separator; static segments win over parameters, parameters over a trailing wildcard.
 * Ours instead of a library's, because it must refuse two owners of one path and judge undecoded paths.
 */
export class Router {
	readonly #entries: Entry[];

	/** @throws Error when two routes claim the same method and path. */
	constructor(routes: readonly Route[]) {
		const seen = new Map<string, Route>();
		for (const route of routes) {
			const key = `${route.method} ${route.path.replace(/:[^/]+/g, ":")}`;
			const before = seen.get(key);
			if (before !== undefined) {
				throw new Error(`two routes claim ${route.method} ${route.path}: ${before.owner} and ${route.owner}`);
			}
			seen.set(key, route);
		}
		this.#entries = routes
			.map((route) => ({ route, segments: route.path.slice(1).split("/") }))
			.sort((a, b) => compareSpecificity(a.segments, b.segments));
	}

	routes(): readonly Route[] {
		return this.#entries.map((entry) => entry.route);
	}

	/** @param path as sent, before the `?`. @param method an HTTP method, or `WS` for an upgrade. */
	match(method: string, path: string): Match {
		const reason = pathFault(path);
		if (reason !== null) return { found: "bad-path", reason };
		const segments = path.slice(1).split("/");
		const allowed = new Set<string>();
		for (const { route, segments: pattern } of this.#entries) {
			const params = matchSegments(pattern, segments);
			if (params === null) continue;
			if (takes(route, method)) return { found: "route", route, params };
			allowed.add(route.method);
		}
		return allowed.size > 0 ? { found: "method", allowed: [...allowed] } : { found: "nothing" };
	}
}

function takes(route: Route, method: string): boolean {
	if (method === "WS") return route.method === "WS";
	if (route.method === "WS") return false;
	return route.method === "ALL" || route.method === method || (method === "HEAD" && route.method === "GET");
}

function matchSegments(pattern: readonly string[], segments: readonly string[]): Record<string, string> | null {
	const params: Record<string, string> = {};
	for (let i = 0; i < pattern.length; i++) {
		const part = pattern[i] as string;
		if (part === "*") {
			if (i >= segments.length) return null;
			params["rest"] = segments.slice(i).join("/");
			return params;
		}
		const segment = segments[i];
		if (segment === undefined) return null;
		if (part.startsWith(":")) {
			if (segment === "") return null;
			params[part.slice(1)] = decodeURIComponent(segment);
		} else if (part !== segment) return null;
	}
	return pattern.length === segments.length ? params : null;
}

function compareSpecificity(a: readonly string[], b: readonly string[]): number {
	for (let i = 0; i < Math.max(a.length, b.length); i++) {
		const difference = rank(a[i]) - rank(b[i]);
		if (difference !== 0) return difference;
	}
	return 0;
}

function rank(segment: string | undefined): number {
	return segment === undefined ? 0 : segment === "*" ? 3 : segment.startsWith(":") ? 2 : 1;
}

/** Why a path is refused before any route is asked, or null. Nothing here is ever normalised: a doubt is a refusal. */
function pathFault(path: string): string | null {
	if (!path.startsWith("/")) return "the request target must be a path";
	if (/[\\\x00-\x20\x7f]/.test(path)) return "the path has a character that is not allowed";
	// Most paths hold none of what is looked for below.
	if (!path.includes("%") && !path.includes("/.")) return null;
	for (const segment of path.split("/")) {
		let decoded: string;
		try {
			decoded = decodeURIComponent(segment);
		} catch {
			return "the path has a broken percent-encoding";
		}
		// Also behind an encoded separator: whoever is behind a relay may decode once more.
		if (decoded.split(/[/\\]/).some((part) => part === "." || part === "..")) return "the path has a dot segment";
		if (decoded.includes("\0")) return "the path has a NUL";
	}
	return null;
}
