import type { NodeId } from "@warren/kernel";
import { dataHeaders, type Route } from "@warren/net";
import type { MachineTunnels } from "./machine-tunnels.ts";

/** Where a machine of the warren gets its tunnel. */
export function tunnelRoutes(tunnels: MachineTunnels): Route[] {
	return [
		{
			owner: "hub",
			method: "POST",
			path: "/v1/machines/self/tunnel",
			about: { summary: "A new token and credential for a machine's tunnel at the backbone" },
			credentials: ["node"],
			handle: async ({ identity }) => {
				const { nodeId, name } = identity as { nodeId: NodeId; name: string };
				return Response.json(await tunnels.admit(nodeId, name), { status: 201, headers: dataHeaders });
			},
		},
	];
}
