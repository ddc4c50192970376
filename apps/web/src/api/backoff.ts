/** Waits of a reconnect: exponential with full jitter, never under a tenth of the ceiling. Milliseconds. */
export class Backoff {
	readonly #firstMs: number;
	readonly #maxMs: number;
	readonly #random: () => number;
	#attempt = 0;

	constructor(firstMs: number, maxMs: number, random: () => number = Math.random) {
		this.#firstMs = firstMs;
		this.#maxMs = maxMs;
		this.#random = random;
	}

	nextMs(): number {
		const ceiling = Math.min(this.#maxMs, this.#firstMs * 2 ** Math.min(this.#attempt, 20));
		this.#attempt += 1;
		return ceiling * (0.1 + 0.9 * this.#random());
	}

	reset(): void {
		this.#attempt = 0;
	}
}
