import { memberCredentials } from "@warren/access";
import { dataHeaders, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import { askBackbone } from "../backbone/backbone-console.ts";
import type { EdgeDoors } from "./edge-doors.ts";

type Method = Parameters<typeof askBackbone>[1];

/** Whatever the backbone itself reads and judges; bounded by the route. */
const anyBody = z.record(z.string(), z.unknown());

/** Calls of the backbone's administration that a page may make: exactly these, by their own paths. */
const calls: readonly (readonly [method: Method, path: string, upstream: string, summary: string, audit?: string])[] = [
	["GET", "services", "/admin/api/services", "Services with their addresses, agents and counts"],
	["PATCH", "services/:svc", "/admin/api/services/:svc", "Settings, port and domains of a service", "service.change"],
	["DELETE", "services/:svc", "/admin/api/services/:svc", "Take a service away", "service.remove"],
	["GET", "services/:svc/requests", "/admin/api/services/:svc/requests", "What the inspector recorded"],
	[
		"POST",
		"services/:svc/requests/:id/replay",
		"/admin/api/services/:svc/requests/:id/replay",
		"Send a recorded request again",
		"request.replay",
	],
	["GET", "tokens", "/admin/api/tokens", "Service tokens, without their secrets"],
	["POST", "tokens", "/admin/api/tokens", "Make a service token; shown once", "token.make"],
	["DELETE", "tokens/:id", "/admin/api/tokens/:id", "Revoke a service token", "token.revoke"],
	["GET", "principals", "/admin/api/principals", "Who is registered"],
	["POST", "principals", "/principals", "Register a principal; its credential is shown once", "principal.make"],
	["PATCH", "principals/:cid", "/admin/api/principals/:cid", "Approve or limit a principal", "principal.change"],
	["DELETE", "principals/:cid", "/admin/api/principals/:cid", "Revoke a principal", "principal.revoke"],
	["GET", "grants/:pid", "/admin/api/grants/:pid", "What a principal may reach"],
	["POST", "grants", "/admin/api/grants", "Let a principal reach a service", "grant.make"],
	["DELETE", "grants/:pid/:svc", "/admin/api/grants/:pid/:svc", "Take a grant away", "grant.revoke"],
	["GET", "cluster", "/admin/api/cluster", "Nodes of the backbone and their agents"],
];

/** The backbone's administration, for this machine's own pages. */
export function backboneRoutes(
	doors: EdgeDoors,
	record: (context: RequestContext, action: string, target: string) => void,
): Route[] {
	return calls.map(
		([method, path, upstream, summary, audit]): Route => ({
			owner: "node",
			credentials: memberCredentials,
			method,
			path: `/api/backbone/${path}`,
			about: { summary },
			handle: async (context) => {
				const body = method === "POST" || method === "PATCH" ? await bodyOf(context) : undefined;
				const target = upstream.replace(/:([a-z]+)/g, (_, name: string) =>
					encodeURIComponent(context.params[name] ?? ""),
				);
				const answer = await doors.askBackbone((address) => askBackbone<object>(address, method, target, body));
				if (audit !== undefined) record(context, `backbone.${audit}`, target.replace(/^.*?\/(?:api\/)?(?=[a-z])/, ""));
				return Response.json(answer, { headers: dataHeaders });
			},
		}),
	);
}

/** A replay has none. */
async function bodyOf(context: RequestContext): Promise<object | undefined> {
	return context.headers["content-type"] === undefined ? undefined : context.json(anyBody);
}
