import type { ConditionKind } from "@warren/kernel";

export const hubAway: ConditionKind = {
	code: "hub-away",
	severity: "warning",
	title: "The hub at {hub} does not answer: {reason}",
	advice: "Terminals and enrolled devices work on; accounts, sync and AI wait. Look at the machine that runs it.",
	delayMs: 60_000,
};
export const removedFromWarren: ConditionKind = {
	code: "removed-from-warren",
	severity: "error",
	title: "This machine was removed from the warren of {hub}.",
	advice: "Join again with a new code: warren join {hub}",
	delayMs: 0,
};
