import { relayLimits } from "./relay-limits.ts";

/** Thirty times its cost keeps commits and fan-out at about a thirtieth of the time, until the wait would be felt. */
const restFactor = 30;
/** From one busy window to the next: a short exchange stays quick, a steady load is at its full window after a few. */
const growth = 1.5;

type Limits = Pick<typeof relayLimits, "minWindowMs" | "maxDelayMs">;

/**
 * How long a commit waits for company: not at all after an idle moment; under load ever longer, up to what the cost of a
 * flush (commit and fan-out) makes worth while, and to what a reader may wait. Milliseconds, monotonic.
 */
export class FlushWindow {
	readonly #limits: Limits;
	#endedAt = Number.NEGATIVE_INFINITY;
	#windowMs: number;
	/** Whether the flush to come had to wait. */
	#waited = false;

	constructor(limits: Limits = relayLimits) {
		this.#limits = limits;
		this.#windowMs = limits.minWindowMs;
	}

	/** Milliseconds until a flush that becomes necessary now. */
	delayMs(now: number): number {
		const delayMs = Math.max(0, this.#endedAt + this.#windowMs - now);
		this.#waited = delayMs > 0;
		return delayMs;
	}

	/** A flush ended, its fan-out too. */
	flushed(startedAt: number, endedAt: number): void {
		const { minWindowMs, maxDelayMs } = this.#limits;
		const costMs = endedAt - startedAt;
		// What comes as a flush begins waits for that one, for the window, and for its own. A flush that takes so long that
		// nothing is left of the bound still gets company: else it would be all that the machine does.
		const boundMs = Math.max(maxDelayMs - 2 * costMs, maxDelayMs / 2);
		const worthMs = Math.min(costMs * restFactor, boundMs);
		const grownMs = this.#waited ? this.#windowMs * growth : minWindowMs;
		this.#windowMs = Math.max(minWindowMs, Math.min(grownMs, worthMs));
		this.#endedAt = endedAt;
	}
}
