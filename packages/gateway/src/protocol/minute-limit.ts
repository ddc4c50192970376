import { RateLimit } from "@warren/kernel";

/** How many keys are remembered; each has said something within the last minutes. */
const maxKeys = 50_000;

/** So many a minute, with all of a minute's as a burst. Time is handed in. */
export class MinuteLimit {
	readonly #limit: RateLimit;
	#now = 0;

	constructor(perMinute: number) {
		const clock = { now: () => this.#now, monotonic: () => this.#now, after: () => ({ cancel() {} }) };
		this.#limit = new RateLimit(clock, { perSecond: perMinute / 60, burst: perMinute, maxKeys });
	}

	/** @returns 0, or the milliseconds until it may be. */
	take(key: string, now: number): number {
		this.#now = now;
		return this.#limit.take(key);
	}
}
