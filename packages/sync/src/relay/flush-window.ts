import { relayLimits } from "./relay-limits.ts";

/**
 * How long a commit waits for company: not at all after an idle moment; under load as long as the last flush's cost
 * makes worth while, within bounds. Milliseconds, monotonic.
 */
export class FlushWindow {
	readonly #limits: typeof relayLimits;
	#endedAt = Number.NEGATIVE_INFINITY;
	#windowMs: number;

	constructor(limits = relayLimits) {
		this.#limits = limits;
		this.#windowMs = limits.minWindowMs;
	}

	/** Milliseconds until a flush that becomes necessary now. */
	delayMs(now: number): number {
		return Math.max(0, this.#endedAt + this.#windowMs - now);
	}

	flushed(startedAt: number, endedAt: number): void {
		const { minWindowMs, maxWindowMs } = this.#limits;
		// Twenty times its cost keeps commits and fan-out at about a twentieth of the time, until the wait would be felt.
		this.#windowMs = Math.min(maxWindowMs, Math.max(minWindowMs, (endedAt - startedAt) * 20));
		this.#endedAt = endedAt;
	}
}
