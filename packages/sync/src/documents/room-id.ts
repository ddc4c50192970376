import type { WarrenError } from "@warren/kernel";
import { syncError } from "../errors.ts";

/**
 * What a document may be called on the wire: nothing that another layer could read as a separator, a wildcard or an
 * escape, and nothing that looks like something else. Names that begin with an underscore are the server's own.
 */
const pattern = /^[A-Za-z0-9][A-Za-z0-9._~-]{0,127}$/;

export function isRoomId(id: string): boolean {
	return pattern.test(id) && !id.includes("..");
}

/** @returns the refusal, or null. */
export function roomIdFault(id: string): WarrenError | null {
	return isRoomId(id) ? null : syncError("bad_room", `${JSON.stringify(id.slice(0, 80))} cannot be a document's id.`);
}
