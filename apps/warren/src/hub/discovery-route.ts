import { dataHeaders, type Route } from "@warren/net";
import { version } from "../version.ts";

/**
 * `GET /` of a role without a web interface: what runs here, as JSON.
 * @param page where a browser is sent instead; the link's fragment goes with it (RFC 9110 §10.2.2).
 */
export function discoveryRoute(
	role: string,
	facts: { readonly name?: string; readonly capabilities: readonly string[] },
	page?: string,
): Route {
	return {
		owner: role,
		method: "GET",
		path: "/",
		about: { summary: "What runs here" },
		credentials: ["none"],
		handle: ({ headers }) =>
			page !== undefined && headers.accept?.includes("text/html") === true
				? new Response(null, { status: 302, headers: { ...dataHeaders, location: page, vary: "accept" } })
				: Response.json(
						{ app: "warren", version, roles: [role], ...facts },
						{ headers: { ...dataHeaders, vary: "accept" } },
					),
	};
}
