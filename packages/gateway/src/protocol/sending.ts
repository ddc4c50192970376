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
	const counts = broadcast ? { delivered, queued, offline } : {};
	if (queued > 0) return { id, outcome: "queued", ...counts };
	if (delivered > 0) return { id, outcome: "delivered", ...counts };
	if (refusal !== null) return { id, outcome: "rejected", ...refusal };
	return { id, outcome: "offline", ...counts };
}

/** Whether an `ordered` sender has to come back with it before anything else: a full queue stops one receiver alone. */
export const holdsBack = (receipt: Receipt): boolean =>
	receipt.retryAfterMs !== undefined && receipt.code !== "queue_full";

/** What is kept of a sending whose outcome stays: shared by all of one second that ended alike. */
export interface Told {
	/** Of the second that it came in. */
	readonly at: number;
	readonly receipt: Omit<Receipt, "id">;
}

/**
 * The ids of the last hour, so that a repeated one is not passed on twice (rule G10). What it keeps outlives every short
 * collection, so that it is no more than the id and a number.
 */
export class RememberedIds {
	readonly #maxEntries: number;
	readonly #forMs: number;
	/** By mesh and id: the slot. */
	readonly #slots = new Map<string, Map<string, number>>();
	/** In the order they came, in a circle: a Map's own first key is found past all those deleted before it. */
	readonly #kept: (Sending | Told)[] = [];
	readonly #meshes: string[] = [];
	readonly #ids: string[] = [];
	#oldest = 0;
	#told = new Map<string, Told>();
	#toldAt = Number.NEGATIVE_INFINITY;

	constructor(maxEntries: number, forMs: number) {
		this.#maxEntries = maxEntries;
		this.#forMs = forMs;
	}

	/** @returns the sending while its outcome is open or may change, what was told of it afterwards, or null. */
	get(meshId: string, id: string, now: number): Sending | Told | null {
		const slot = this.#slots.get(meshId)?.get(id);
		if (slot === undefined) return null;
		const found = this.#kept[slot] as Sending | Told;
		if (now - found.at < this.#forMs) return found;
		this.#free(slot);
		return null;
	}

	/** Only what `get` has not found. */
	add(sending: Sending): void {
		let slot = this.#kept.length;
		if (slot === this.#maxEntries) {
			slot = this.#oldest;
			this.#oldest = (slot + 1) % this.#maxEntries;
			this.#free(slot);
		}
		const { meshId } = sending.mesh;
		sending.slot = slot;
		this.#kept[slot] = sending;
		this.#meshes[slot] = meshId;
		this.#ids[slot] = sending.id;
		const ids = this.#slots.get(meshId);
		if (ids === undefined) this.#slots.set(meshId, new Map([[sending.id, slot]]));
		else ids.set(sending.id, slot);
	}

	/** Its outcome will not change any more. */
	settle(sending: Sending, { id: _id, ...receipt }: Receipt): void {
		const { slot, at } = sending;
		if (slot === -1 || this.#kept[slot] !== sending) return;
		if (at - this.#toldAt >= 1000) {
			this.#told.clear();
			this.#toldAt = at;
		}
		// Those of broadcasts have counts, and are few.
		const isCommon = !sending.broadcast && receipt.code === undefined;
		let told = isCommon ? this.#told.get(receipt.outcome) : undefined;
		if (told === undefined) {
			told = { at: isCommon ? this.#toldAt : at, receipt };
			if (isCommon) this.#told.set(receipt.outcome, told);
		}
		this.#kept[slot] = told;
	}

	/** It may come again. */
	forget(sending: Sending): void {
		const { slot } = sending;
		if (slot !== -1 && this.#kept[slot] === sending) this.#free(slot);
	}

	/** Nothing leads to it any more. */
	#free(slot: number): void {
		const meshId = this.#meshes[slot] as string;
		const id = this.#ids[slot] as string;
		const ids = this.#slots.get(meshId);
		// The id may have come anew since, and be remembered elsewhere.
		if (ids === undefined || ids.get(id) !== slot) return;
		ids.delete(id);
		if (ids.size === 0) this.#slots.delete(meshId);
	}
}
