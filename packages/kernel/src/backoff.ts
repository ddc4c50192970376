import type { Random } from "./random.ts";

/** Bounds of a reconnect's waits, milliseconds. */
export interface BackoffLimits {
	readonly firstMs: number;
	readonly maxMs: number;
}

/**
 * Exponential backoff with full jitter: uniform in [0, min(maxMs, firstMs · 2^attempt)), and never under a tenth of
 * that ceiling, so that a crowd spreads out and no one spins.
 */
export class Backoff {
	readonly #limits: BackoffLimits;
	readonly #random: Random;
	#attempt = 0;

	constructor(limits: BackoffLimits, random: Random) {
		this.#limits = limits;
		this.#random = random;
	}

	/** Milliseconds to wait before the next try. */
	nextMs(): number {
		const ceiling = Math.min(this.#limits.maxMs, this.#limits.firstMs * 2 ** Math.min(this.#attempt, 30));
		this.#attempt += 1;
		return ceiling * (0.1 + 0.9 * this.#random.fraction());
	}

	/** After a success that lasted. */
	reset(): void {
		this.#attempt = 0;
	}
}
