import type { Random } from "@warren/kernel";

/** Repeatable randomness (mulberry32). Print the seed of whatever fails. Never for secrets. */
export class SeededRandom implements Random {
	readonly seed: number;
	#state: number;

	constructor(seed: number) {
		this.seed = seed;
		this.#state = seed >>> 0;
	}

	fraction(): number {
		this.#state = (this.#state + 0x6d2b79f5) >>> 0;
		let mixed = this.#state;
		mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
		mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
		return ((mixed ^ (mixed >>> 14)) >>> 0) / 4294967296;
	}

	/** Uniform in [0, below). */
	integer(below: number): number {
		return Math.floor(this.fraction() * below);
	}

	pick<T>(items: readonly T[]): T {
		return items[this.integer(items.length)] as T;
	}

	bytes(count: number): Uint8Array {
		return Uint8Array.from({ length: count }, () => this.integer(256));
	}
}
