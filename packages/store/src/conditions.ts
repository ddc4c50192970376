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
	clockOff: {
		code: "clock-off",
		severity: "warning",
		title: "This machine's clock is {seconds} s off the database's.",
		advice: "Let NTP set both. Instances go by the database's; certificates and steps of a sign-in go by their own.",
		delayMs: 0,
	},
} as const satisfies Readonly<Record<string, ConditionKind>>;
