import type { Identity } from "@warren/kernel";
import type { RoomPermit } from "@warren/sync";

/** Between the worker's parts: taken off whatever comes from outside. */
export const admissionHeader = "x-warren-admission";

/** What the hub has decided about a socket, for the room that serves it. */
export interface Admission extends Pick<RoomPermit, "room" | "access" | "keepsUpdates"> {
	readonly identity: Extract<Identity, { kind: "user" }>;
	/** Place of the identity's check in the hub's own order: what was revoked since then counts. */
	readonly at: number;
}

export function encodeAdmission(admission: Admission): string {
	return Buffer.from(JSON.stringify(admission)).toString("base64url");
}

export function decodeAdmission(header: string): Admission {
	return JSON.parse(Buffer.from(header, "base64url").toString()) as Admission;
}
