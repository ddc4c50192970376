import { dataHeaders, type Route } from "@warren/net";
import { z } from "zod";
import { overlayError } from "../errors.ts";
import { policyLimits } from "../protocol/policy.ts";
import type { Registry } from "./registry.ts";
import { administrator, type CoordinatorRouteDeps, owner, record } from "./route-deps.ts";

/** The policy: read, replaced, looked at before, explained. */
export function policyRoutes(deps: CoordinatorRouteDeps): Route[] {
	const { registry, streams, relay, policy } = deps;
	return [
		{
			owner,
			method: "GET",
			path: "/v1/policy",
			about: { summary: "The policy", answers: { 200: "the policy, with its ETag" } },
			credentials: administrator,
			handle: () =>
				new Response(policy.text, {
					headers: { ...dataHeaders, "content-type": "application/json", etag: policy.etag },
				}),
		},
		{
			owner,
			method: "PUT",
			path: "/v1/policy",
			about: {
				summary: "Replace the policy",
				answers: { 200: "replaced", 412: "stale", 422: "bad rule, or a failing test", 428: "If-Match is missing" },
			},
			credentials: administrator,
			maxBodyBytes: policyLimits.maxBytes + 1024,
			handle: async (context) => {
				policy.replace(await context.request.text(), context.headers["if-match"]);
				streams.changed();
				relay.sweep();
				await deps.settled();
				record(deps, context, "overlay.policy", policy.etag);
				return new Response(policy.text, {
					headers: { ...dataHeaders, "content-type": "application/json", etag: policy.etag },
				});
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/policy/preview",
			about: { summary: "What a policy would change" },
			credentials: administrator,
			maxBodyBytes: policyLimits.maxBytes + 1024,
			handle: async (context) =>
				Response.json(
					policy.preview(
						await context.request.text(),
						[...registry.peers()].map((each) => each.record),
					),
					{ headers: dataHeaders },
				),
		},
		{
			owner,
			method: "GET",
			path: "/v1/policy/explain",
			about: {
				summary: "Whether one peer may reach another, and by which rule",
				query: explainQuery,
				answers: { 200: "allowed, visible, rule, reason", 404: "unknown" },
			},
			credentials: administrator,
			handle: (context) => {
				const query = explainQuery.safeParse(Object.fromEntries(context.query));
				if (!query.success)
					throw overlayError(
						"bad_peer",
						"explain needs from=PEER and to=PEER, and takes port=N and proto=tcp|udp|icmp.",
					);
				const { from, to, proto, port } = query.data;
				return Response.json(policy.explain(named(registry, from), named(registry, to), proto, port ?? null), {
					headers: dataHeaders,
				});
			},
		},
	];
}

const explainQuery = z.object({
	from: z.string().min(1).max(80),
	to: z.string().min(1).max(80),
	proto: z.enum(["tcp", "udp", "icmp"]).default("tcp"),
	port: z.coerce.number().int().min(0).max(65535).optional(),
});

/** By id, name or address. */
function named(registry: Registry, text: string) {
	for (const { record } of registry.peers())
		if (record.peer_id === text || record.display_name === text || record.ula === text) return record;
	throw overlayError("unknown_peer", `There is no peer "${text}".`, {
		fix: "List them with: warren coordinator peers",
	});
}
