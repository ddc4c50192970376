import { parseRequest } from "@warren/kernel";
import { dataHeaders, type Route } from "@warren/net";
import { z } from "zod";
import { overlayError } from "../errors.ts";
import { administrator, type CoordinatorRouteDeps, memberOf, owner, record } from "./route-deps.ts";

/** What an administrator sees and does about peers, and what operations look at. */
export function administrationRoutes(deps: CoordinatorRouteDeps): Route[] {
	const { registry, streams, relay } = deps;
	return [
		{
			owner,
			method: "GET",
			path: "/v1/mesh/peers",
			about: { summary: "All peers" },
			credentials: administrator,
			handle: () =>
				Response.json(
					{
						peers: [...registry.peers()].map(({ record: each }) => each),
						removed: registry
							.removed()
							.map((each) => ({ peer_id: each.peerId, ula: each.ula, wg_public_key: each.key, tags: each.tags })),
					},
					{ headers: dataHeaders },
				),
		},
		{
			owner,
			method: "GET",
			path: "/v1/mesh/topology",
			about: { summary: "All peers with their paths" },
			credentials: administrator,
			handle: () =>
				Response.json(
					{
						peers: [...registry.peers()].map((each) => ({
							...each.record,
							observed_ip: each.observedIp,
							paths: [...each.paths].map(([peer_id, path]) => ({
								peer_id,
								direct: path.direct,
								last_rx_age_ms: path.lastRxAgeMs,
							})),
						})),
						streams: streams.size,
						relay: { lanes: relay.size, forwarded: relay.forwarded, dropped: relay.dropped },
					},
					{ headers: dataHeaders },
				),
		},
		{
			owner,
			method: "DELETE",
			path: "/v1/mesh/peers/:peer",
			about: { summary: "Remove a peer for good" },
			credentials: administrator,
			handle: async (context) => {
				const peerId = context.params["peer"] ?? "";
				const gone = registry.removeForGood(peerId);
				relay.sweep();
				streams.changed();
				if (gone === null && !registry.removed().some((each) => each.peerId === peerId))
					throw overlayError("unknown_peer", `There is no peer "${peerId.slice(0, 64)}".`, {
						fix: "List them with GET /v1/mesh/peers.",
					});
				await deps.settled();
				record(deps, context, "overlay.remove", peerId);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/mesh/peers/:peer/readmit",
			about: { summary: "Let a removed peer in again" },
			credentials: administrator,
			handle: async (context) => {
				const peerId = context.params["peer"] ?? "";
				if (!registry.readmit(peerId))
					throw overlayError("unknown_peer", `"${peerId.slice(0, 64)}" is not among the removed peers.`, {
						fix: "List them with GET /v1/mesh/peers.",
					});
				await deps.settled();
				record(deps, context, "overlay.readmit", peerId);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
		{
			owner,
			method: "GET",
			path: "/v1/audit",
			credentials: administrator,
			about: { summary: "Who did what", query: auditQuery },
			handle: async (context) => {
				const { limit, before, actor } = parseRequest(auditQuery, Object.fromEntries(context.query));
				const records = await deps.audit.list({
					// Other roles may write into the same table.
					role: "coordinator",
					limit,
					...(before === undefined ? {} : { before }),
					...(actor === undefined ? {} : { actor }),
				});
				return Response.json({ records }, { headers: dataHeaders });
			},
		},
		{
			owner,
			method: "GET",
			path: "/api/health",
			about: { summary: "Health, with its conditions" },
			credentials: memberOf(deps),
			handle: () => Response.json(deps.health(), { headers: dataHeaders }),
		},
		{
			owner,
			method: "GET",
			path: "/metrics",
			about: { summary: "Metrics for Prometheus" },
			credentials: memberOf(deps),
			handle: async () =>
				new Response(await deps.metrics.text(), {
					headers: { ...dataHeaders, "content-type": deps.metrics.registry.contentType },
				}),
		},
	];
}

const auditQuery = z.object({
	limit: z.coerce.number().pipe(z.int().min(1).max(500)).default(100),
	before: z.coerce.number().pipe(z.int().min(1)).optional(),
	actor: z.string().max(200).optional(),
});
