import type { KeyValue } from "@warren/store";

/** A node of the cluster, as all others know it: its lease in the registry. */
export interface NodeLease {
	readonly node: string;
	/** One process: another with the same node's name has another. */
	readonly run: string;
	/** Raised by each process that takes the node's name, never taken from a clock alone. */
	readonly epoch: number;
	/** Where the others reach it; null = it is the only one. */
	readonly url: string | null;
	/** Milliseconds since the Unix epoch, by its own clock. */
	readonly startedAt: number;
}

/** An agent that hangs at a node. It counts while that node's lease of the same epoch stands. */
export interface AgentLease {
	readonly service: string;
	readonly agent: string;
	readonly name: string;
	readonly node: string;
	readonly epoch: number;
	readonly links: number;
}

export const leaseLimits = {
	/** A node that does not renew is away for the others after this. */
	nodeMs: 6_000,
	renewNodeMs: 2_000,
	agentMs: 60_000,
	renewAgentsMs: 20_000,
	/** Everything is read anew this often, should news have been lost. */
	reconcileMs: 30_000,
	/** After the registry was away leases that ran out meanwhile have so long to be renewed. */
	graceMs: 5_000,
} as const;

export const nodesPrefix = "backbone.nodes.";
export const agentsPrefix = "backbone.agents.";

export const nodeKey = (node: string): string => `${nodesPrefix}${node}`;
export const agentKey = (lease: Pick<AgentLease, "node" | "service" | "agent">): string =>
	`${agentsPrefix}${lease.node}.${lease.service}.${lease.agent}`;

/** Names of the nodes whose leases stand. @throws WarrenError `store_away`. */
export async function standingNodes(kv: KeyValue): Promise<string[]> {
	return (await kv.list(nodesPrefix)).map(({ key }) => key.slice(nodesPrefix.length));
}
