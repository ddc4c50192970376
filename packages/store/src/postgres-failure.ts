import { messageOf, WarrenError } from "@warren/kernel";
import { storeError } from "./errors.ts";

/** What a statement's failure means to whoever wrote: what the tables' own client says of it, else `store_failed`. */
export function postgresFailure(cause: unknown): WarrenError {
	return cause instanceof WarrenError
		? cause
		: storeError("store_failed", `The database refused to write: ${messageOf(cause)}.`, { cause });
}
