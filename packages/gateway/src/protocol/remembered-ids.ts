import type { Receipt } from "./frames.ts";
import type { Sending } from "./sending.ts";

/** What is kept of a sending whose outcome stays: shared by all of one second that ended alike. */
export interface Told {
	/** Of the second that it came in. */
	readonly at: number;
	readonly receipt: Omit<Receipt, "id">;
}

/**
 * The ids of the last hour, so that a repeated one is not passed on twice (rule G10). At a full gateway each message
 * evicts one, and what is kept outlives every short collection: so that it is numbers in fixed places, and no id. Two ids
 * of one mesh are one where 64 bits of their hash agree, which among 100,000 of them happens once in 10^14 messages; ids
 * of two meshes are never one.
 */
export class RememberedIds {
	readonly #maxEntries: number;
	readonly #forMs: number;
	/** What every id's hash begins with: nobody knows beforehand which ones share a chain. */
	readonly #seed: number;
	/** By hash: the first slot of its chain, plus one; 0 = none. */
	readonly #heads: Int32Array;
	/** By slot, side by side, as they are looked at: the hash's two halves and the chain's next slot, plus one. */
	readonly #links: Int32Array;
	readonly #meshes: string[] = [];
	/** In the order they came, in a circle; null = forgotten before its turn. */
	readonly #kept: (Sending | Told | null)[] = [];
	#oldest = 0;
	#told = new Map<string, Told>();
	#toldAt = Number.NEGATIVE_INFINITY;
	/** What was looked up last, and its hash: it is what is added next. */
	#hashed: { meshId: string; id: string; low: number; high: number } = { meshId: "", id: "", low: 0, high: 0 };

	constructor(maxEntries: number, forMs: number, seed: string) {
		this.#maxEntries = maxEntries;
		this.#forMs = forMs;
		this.#seed = hashOf(seed, 0, firstFactor);
		this.#heads = new Int32Array(2 ** Math.ceil(Math.log2(maxEntries)));
		this.#links = new Int32Array(maxEntries * linkSize);
	}

	/** @returns the sending while its outcome is open or may change, what was told of it afterwards, or null. */
	get(meshId: string, id: string, now: number): Sending | Told | null {
		const { low, high } = this.#hash(meshId, id);
		const links = this.#links;
		let next = 0;
		for (let link = this.#heads[this.#chainOf(low)] as number; link !== 0; link = next) {
			const slot = link - 1;
			const at = slot * linkSize;
			next = links[at + nextAt] as number;
			if (links[at] !== low || links[at + highAt] !== high || this.#meshes[slot] !== meshId) continue;
			const found = this.#kept[slot] as Sending | Told;
			if (now - found.at < this.#forMs) return found;
			this.#free(slot);
			return null;
		}
		return null;
	}

	/** Only what `get` has not found. One whose outcome is known and stays is never held itself, only what was told of it. */
	add(sending: Sending): void {
		const { receipt, failed } = sending;
		const isOpen = receipt === null || failed.length > 0;
		let slot = this.#kept.length;
		if (slot === this.#maxEntries) {
			slot = this.#oldest;
			this.#oldest = (slot + 1) % this.#maxEntries;
			this.#free(slot);
		}
		const { meshId } = sending.mesh;
		const { low, high } = this.#hash(meshId, sending.id);
		const chain = this.#chainOf(low);
		const links = this.#links;
		const at = slot * linkSize;
		links[at] = low;
		links[at + highAt] = high;
		links[at + nextAt] = this.#heads[chain] as number;
		this.#heads[chain] = slot + 1;
		this.#meshes[slot] = meshId;
		this.#kept[slot] = isOpen ? sending : this.#toldOf(sending, receipt);
		if (isOpen) sending.slot = slot;
	}

	/** Its outcome will not change any more. */
	settle(sending: Sending, receipt: Receipt): void {
		const { slot } = sending;
		if (slot !== -1 && this.#kept[slot] === sending) this.#kept[slot] = this.#toldOf(sending, receipt);
	}

	#toldOf(sending: Sending, receipt: Receipt): Told {
		const { at } = sending;
		if (at - this.#toldAt >= 1000) {
			this.#told.clear();
			this.#toldAt = at;
		}
		// Those of broadcasts have counts, and are few.
		const isCommon = !sending.broadcast && receipt.code === undefined;
		let told = isCommon ? this.#told.get(receipt.outcome) : undefined;
		if (told === undefined) {
			const { id: _id, ...outcome } = receipt;
			told = { at: isCommon ? this.#toldAt : at, receipt: outcome };
			if (isCommon) this.#told.set(receipt.outcome, told);
		}
		return told;
	}

	/** It may come again. */
	forget(sending: Sending): void {
		const { slot } = sending;
		if (slot !== -1 && this.#kept[slot] === sending) this.#free(slot);
	}

	#hash(meshId: string, id: string): { readonly low: number; readonly high: number } {
		const hashed = this.#hashed;
		if (hashed.id === id && hashed.meshId === meshId) return hashed;
		// Meshes that count theirs from one have the same ids: they must not share chains.
		const seed = hashOf(meshId, this.#seed, firstFactor);
		hashed.meshId = meshId;
		hashed.id = id;
		hashed.low = hashOf(id, seed, firstFactor);
		hashed.high = hashOf(id, seed, secondFactor);
		return hashed;
	}

	#chainOf(low: number): number {
		return low & (this.#heads.length - 1);
	}

	/** Nothing leads to it any more; its place in the circle stays until its turn. */
	#free(slot: number): void {
		if (this.#kept[slot] === null) return;
		this.#kept[slot] = null;
		const links = this.#links;
		const after = links[slot * linkSize + nextAt] as number;
		const chain = this.#chainOf(links[slot * linkSize] as number);
		let link = this.#heads[chain] as number;
		if (link === slot + 1) {
			this.#heads[chain] = after;
			return;
		}
		let at = (link - 1) * linkSize + nextAt;
		for (link = links[at] as number; link !== slot + 1; link = links[at] as number) at = (link - 1) * linkSize + nextAt;
		links[at] = after;
	}
}

/** Numbers a slot, of which the processor gets all with the first; the last is nobody's. */
const linkSize = 4;
const highAt = 1;
const nextAt = 2;

/** Odd, and far from each other: the two halves of a hash have nothing in common. */
const firstFactor = 0x01000193;
const secondFactor = 0x5bd1e995;

/** FNV-1a's loop with the last mixing of MurmurHash3, so that the low bits depend on all of it. */
function hashOf(text: string, seed: number, factor: number): number {
	let hash = seed ^ 0x811c9dc5;
	for (let at = 0; at < text.length; at += 1) hash = Math.imul(hash ^ text.charCodeAt(at), factor);
	hash = Math.imul(hash ^ (hash >>> 16), 0x85ebca6b);
	hash = Math.imul(hash ^ (hash >>> 13), 0xc2b2ae35);
	return hash ^ (hash >>> 16);
}
