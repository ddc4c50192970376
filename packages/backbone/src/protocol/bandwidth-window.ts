/** Answers of a PING that say nothing new before no more are sent for a while: a path rarely changes. */
const calmAfter = 16;

/**
 * How large a window of flow control must be so that it does not hold the line back: twice what arrives in a round trip,
 * measured by PINGs that go out while bytes come in, as gRPC does it. It starts small, because a window is also what one
 * stream that nobody reads may fill, and never shrinks.
 */
export class BandwidthWindow {
	readonly #maxBytes: number;
	#bytes: number;
	/** Since the PING went out; null = none is under way. */
	#sample: { bytes: number; readonly since: number } | null = null;
	#fastest = 0;
	#same = 0;

	constructor(firstBytes: number, maxBytes: number) {
		this.#bytes = firstBytes;
		this.#maxBytes = maxBytes;
	}

	get bytes(): number {
		return this.#bytes;
	}

	/** @param now milliseconds, monotonic. @returns whether to send a PING with it. */
	received(bytes: number, now: number): boolean {
		if (this.#sample !== null) {
			this.#sample.bytes += bytes;
			return false;
		}
		if (this.#bytes >= this.#maxBytes || this.#same >= calmAfter) return false;
		this.#sample = { bytes, since: now };
		return true;
	}

	/** The PING is answered. @returns the window from now on, or null where it stays. */
	answered(now: number): number | null {
		const sample = this.#sample;
		this.#sample = null;
		if (sample === null) return null;
		const rate = sample.bytes / Math.max(0.1, now - sample.since);
		// A window that was nearly used up in a round trip was perhaps what held it.
		if (sample.bytes < (this.#bytes * 2) / 3 || rate <= this.#fastest) {
			// Small requests alone never need more; what fills it is looked at again.
			this.#same = sample.bytes < this.#bytes / 16 ? 0 : this.#same + 1;
			return null;
		}
		this.#same = 0;
		this.#fastest = rate;
		const bytes = Math.min(this.#maxBytes, Math.max(this.#bytes, sample.bytes * 2));
		if (bytes === this.#bytes) return null;
		this.#bytes = bytes;
		return bytes;
	}
}
