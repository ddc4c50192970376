import type { ConditionKind } from "@warren/kernel";

/** What stores that live in another process raise. The delay passes over a restart of that process. */
export const storeConditions = {
	databaseAway: {
		code: "database-away",
		severity: "error",
		title: "The database {where} does not answer: {fault}.",
		advice:
			"Start it, or repair the way to it. Nothing that was acknowledged is lost; writers try again by themselves.",
		delayMs: 1_000,
	},
	busAway: {
		code: "bus-away",
		severity: "warning",
		title: "NATS at {where} does not answer.",
		advice:
			"Start it, or repair the way to it. Until then instances learn of each other's changes from the database, a moment later.",
		delayMs: 1_000,
	},
} as const satisfies Readonly<Record<string, ConditionKind>>;
