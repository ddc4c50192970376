import type { Receipt } from "./frames.ts";
import type { Mesh } from "./mesh.ts";
import type { SocketId } from "./server-effects.ts";

/** Why nobody gets a message. */
export interface Refusal {
	readonly code: string;
	readonly message: string;
	/** There when it may be sent again. */
	readonly retryAfterMs?: number;
}

/** One relay or broadcast until its receipt is known, and after that for as long as its id is remembered. */
export interface Sending {
	readonly mesh: Mesh;
	readonly id: string;
	/** Where it is remembered; -1 = nowhere. */
	slot: number;
	readonly broadcast: boolean;
	readonly at: number;
	/** Grows with everything that is sent: which of two came first on their connection. */
	order: number;
	/** Whom the receipt goes to; the connection on which the id was seen last. */
	socket: SocketId;
	/** Receivers of which nothing is known yet. */
	waiting: number;
	delivered: number;
	queued: number;
	offline: number;
	refusal: Refusal | null;
	/** Receivers whose queue could not be written; all the others have it, and only these get it when it comes again. */
	failed: Mesh[];
	receipt: Receipt | null;
}

export function receiptOf(sending: Sending): Receipt {
	const { id, delivered, queued, offline, refusal, broadcast, failed } = sending;
	if (failed.length > 0 && refusal !== null) return { id, outcome: "rejected", ...refusal };
	if (!broadcast && refusal === null)
		return { id, outcome: queued > 0 ? "queued" : delivered > 0 ? "delivered" : "offline" };
	const counts = broadcast ? { delivered, queued, offline } : {};
	if (queued > 0) return { id, outcome: "queued", ...counts };
	if (delivered > 0) return { id, outcome: "delivered", ...counts };
	if (refusal !== null) return { id, outcome: "rejected", ...refusal };
	return { id, outcome: "offline", ...counts };
}

/** Whether an `ordered` sender has to come back with it before anything else: a full queue stops one receiver alone. */
export const holdsBack = (receipt: Receipt): boolean =>
	receipt.retryAfterMs !== undefined && receipt.code !== "queue_full";
