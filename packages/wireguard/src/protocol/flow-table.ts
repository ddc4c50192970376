import { limits } from "./constants.ts";
import { protocolTcp } from "./ip-packet.ts";

const slots = 4;
const buckets = limits.flows / slots;
/** Protocol, ports, near address, far address. */
const words = 10;

/**
 * Flows that a rule let begin, by both ends: open addressing in fixed memory, four places a bucket, the one unused for
 * longest gives way. A flood of flows costs other flows their memory, never the process its own.
 */
export class FlowTable {
	readonly #keys = new Uint32Array(limits.flows * words);
	/** When it was last used, monotonic ms; 0 = free. */
	readonly #usedAt = new Float64Array(limits.flows);
	readonly #key = new Uint32Array(words);
	size = 0;

	has(protocol: number, near: Uint32Array, nearPort: number, far: Uint32Array, farPort: number, now: number): boolean {
		const slot = this.#find(this.#fill(protocol, near, nearPort, far, farPort));
		if (slot < 0) return false;
		const lifeMs = protocol === protocolTcp ? limits.tcpFlowMs : limits.otherFlowMs;
		if (now + 1 - (this.#usedAt[slot] as number) > lifeMs) {
			this.#usedAt[slot] = 0;
			this.size -= 1;
			return false;
		}
		this.#usedAt[slot] = now + 1;
		return true;
	}

	add(protocol: number, near: Uint32Array, nearPort: number, far: Uint32Array, farPort: number, now: number): void {
		const bucket = this.#fill(protocol, near, nearPort, far, farPort);
		let slot = this.#find(bucket);
		if (slot < 0) {
			slot = bucket;
			for (let each = bucket; each < bucket + slots; each++)
				if ((this.#usedAt[each] as number) < (this.#usedAt[slot] as number)) slot = each;
			if (this.#usedAt[slot] === 0) this.size += 1;
			this.#keys.set(this.#key, slot * words);
		}
		this.#usedAt[slot] = now + 1;
	}

	/** @returns the first slot of the key's bucket; the key itself is in `#key`. */
	#fill(protocol: number, near: Uint32Array, nearPort: number, far: Uint32Array, farPort: number): number {
		const key = this.#key;
		key[0] = protocol;
		key[1] = nearPort * 0x1_0000 + farPort;
		key.set(near, 2);
		key.set(far, 6);
		let hash = 0x811c9dc5;
		for (let word = 0; word < words; word++) {
			hash = Math.imul(hash ^ (key[word] as number), 0x01000193);
			hash ^= hash >>> 15;
		}
		return ((hash >>> 0) % buckets) * slots;
	}

	#find(bucket: number): number {
		for (let slot = bucket; slot < bucket + slots; slot++) {
			if (this.#usedAt[slot] === 0) continue;
			let same = true;
			for (let word = 0; word < words && same; word++) same = this.#keys[slot * words + word] === this.#key[word];
			if (same) return slot;
		}
		return -1;
	}
}
