import { dataHeaders, type Route } from "@warren/net";
import { version } from "../version.ts";

/** `GET /` of a role that has no page of its own there: what runs here, as JSON. */
export function discoveryRoute(
	role: string,
	facts: { readonly name?: string; readonly capabilities: readonly string[] },
): Route {
	return {
		owner: role,
		method: "GET",
		path: "/",
		credentials: ["none"],
		handle: () => Response.json({ app: "warren", version, roles: [role], ...facts }, { headers: dataHeaders }),
	};
}
