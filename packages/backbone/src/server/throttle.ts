/** Bytes a second, as a debt: what passed is paid off before more is read. Both directions of all streams share one. */
export class Throttle {
	#bytesPerSecond: number;
	#debt = 0;
	#at = 0;

	constructor(bytesPerSecond: number) {
		this.#bytesPerSecond = bytesPerSecond;
	}

	/** @param now milliseconds, monotonic. @returns milliseconds to stop reading for; 0 = go on. */
	passed(bytes: number, now: number): number {
		this.#debt = Math.max(0, this.#debt - ((now - this.#at) / 1000) * this.#bytesPerSecond) + bytes;
		this.#at = now;
		return this.#untilPaid();
	}

	/** Milliseconds until something new may begin. */
	waitMs(now: number): number {
		return this.passed(0, now);
	}

	#untilPaid(): number {
		// A tenth of a second's worth may stand: else small answers would wait too.
		const over = this.#debt - this.#bytesPerSecond / 10;
		return over <= 0 ? 0 : Math.ceil((over / this.#bytesPerSecond) * 1000);
	}
}
