import { messageOf, type WarrenError } from "@warren/kernel";
import { storeError } from "./errors.ts";

const diskFull = "53100";

/** What a statement's failure means to whoever wrote. */
export function postgresFailure(cause: unknown): WarrenError {
	if ((cause as { code?: unknown }).code === "store_away") return cause as WarrenError;
	return (cause as { code?: unknown }).code === diskFull
		? storeError("store_full", "The database's disk is full: nothing was written.", {
				fix: "Free some space there.",
				cause,
			})
		: storeError("store_failed", `The database refused to write: ${messageOf(cause)}.`, { cause });
}
