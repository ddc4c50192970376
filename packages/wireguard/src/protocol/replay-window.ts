import { specification } from "./constants.ts";

const blockBits = 32;
/** One block more than the window, so that moving on clears whole blocks only (RFC 6479). */
const blocks = specification.replayWindow / blockBits + 1;
/** Ring of a power of two, for a cheap remainder. */
const ring = 512;

/** Which counters of one session have come: each once, and none older than the window. RFC 6479. */
export class ReplayWindow {
	readonly #seen = new Uint32Array(ring);
	#highest = -1;

	/** Judges a counter, before its message is opened, without remembering it. */
	accepts(counter: number): boolean {
		if (!(counter < specification.rejectAfterMessages)) return false;
		if (counter > this.#highest) return true;
		if (this.#highest - counter >= specification.replayWindow) return false;
		const block = Math.floor(counter / blockBits) % ring;
		return (((this.#seen[block] as number) >>> (counter % blockBits)) & 1) === 0;
	}

	/** Remembers the counter of an authentic message. False = it has come before, or is too old. */
	take(counter: number): boolean {
		if (!this.accepts(counter)) return false;
		const block = Math.floor(counter / blockBits);
		if (counter > this.#highest) {
			const last = this.#highest < 0 ? -1 : Math.floor(this.#highest / blockBits);
			const steps = Math.min(block - last, blocks);
			for (let step = 0; step < steps; step++) this.#seen[(block - step) % ring] = 0;
			this.#highest = counter;
		}
		const slot = block % ring;
		this.#seen[slot] = (this.#seen[slot] as number) | (1 << (counter % blockBits));
		return true;
	}
}
