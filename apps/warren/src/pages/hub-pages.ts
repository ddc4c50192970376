import type { HealthTable } from "@warren/kernel";
import { dataHeaders, httpError, openApiOf, type Route } from "@warren/net";
import { pageFile } from "../own-files.ts";
import { version } from "../version.ts";
import { asset, pageRoutes } from "./page-routes.ts";

/** What the hub's own pages show: the API's description, and what its administrators do. */
export function hubPages(
	routes: readonly Route[],
	facts: { readonly health: HealthTable; readonly name: string; readonly fingerprint: () => string | null },
): Route[] {
	const description = openApiOf(routes, { title: "Warren hub", version });
	const json = () => Response.json(description, { headers: dataHeaders });
	const [page, ...assets] = pageRoutes("/openapi", "Warren API", "openapi-page");
	return [
		{
			...(page as Extract<Route, { handle: unknown }>),
			handle: (context) =>
				prefersHtml(context.headers.accept) ? (page as Extract<Route, { handle: unknown }>).handle(context) : json(),
		},
		...assets,
		{
			owner: "hub",
			method: "GET",
			path: "/openapi/json",
			credentials: ["none"],
			about: { summary: "The hub's part of this description" },
			handle: json,
		},
		...pageRoutes("/admin", "Warren hub", "admin-page"),
		asset("/admin/admin-passkeys.js", "js", pageFile("admin-passkeys.js")),
		asset("/admin/ai-usage.js", "js", pageFile("ai-usage.js")),
		// Codes as pictures, in the page itself: what they carry must not leave it.
		asset("/admin/uqr.js", "js", new URL(import.meta.resolve("uqr"))),
		{
			owner: "hub",
			method: "GET",
			path: "/admin/health",
			credentials: ["session", "admin"],
			about: { summary: "How the hub is (administrators)" },
			handle: ({ identity }) => {
				if (identity?.kind === "user" && !identity.admin)
					throw httpError("forbidden", "This is only for the owner and the administrators of this hub.");
				return Response.json(
					{
						name: facts.name,
						version,
						fingerprint: facts.fingerprint(),
						status: facts.health.summary(),
						conditions: facts.health.list(),
					},
					{ headers: dataHeaders },
				);
			},
		},
	];
}

function prefersHtml(accept: string | undefined): boolean {
	const html = accept?.indexOf("text/html") ?? -1;
	const json = accept?.indexOf("json") ?? -1;
	return html !== -1 && (json === -1 || html < json);
}
