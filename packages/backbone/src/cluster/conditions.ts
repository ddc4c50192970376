import type { ConditionKind } from "@warren/kernel";

export const clusterConditions = {
	registryAway: {
		code: "backbone-registry-away",
		severity: "warning",
		title: "The registry of agents is away: the routes of before are used ({agents} agents at other nodes).",
		advice: "Start NATS, or repair the way to it. Agents that come or go meanwhile are known at their own node alone.",
		delayMs: 1_000,
	},
	superseded: {
		code: "backbone-node-superseded",
		severity: "error",
		title: "Another process has taken this node's name, {node}: this one serves no agents any more.",
		advice: "Give each instance a data folder of its own: backbone/node-id must differ. Then start this one again.",
		delayMs: 0,
	},
	unchecked: {
		code: "backbone-revocations-unchecked",
		severity: "error",
		title: "Whether access was revoked cannot be looked up: what principals had open is cut.",
		advice: "Start the database, or repair the way to it.",
		delayMs: 0,
	},
} as const satisfies Readonly<Record<string, ConditionKind>>;
