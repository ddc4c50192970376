import type { Clock } from "@warren/kernel";
import type { Throttle } from "./throttle.ts";

/** Whose bandwidth a request or a stream uses, its service's and its caller's: what passed is a debt that is waited for. */
export class Pace {
	readonly #clock: Clock;
	readonly #first: Throttle | null;
	readonly #second: Throttle | null;

	private constructor(clock: Clock, first: Throttle | null, second: Throttle | null) {
		this.#clock = clock;
		this.#first = first;
		this.#second = second;
	}

	/** @returns null where nothing is limited: nearly everywhere. */
	static of(clock: Clock, service: Throttle | null, caller: Throttle | null): Pace | null {
		return service === null && caller === null ? null : new Pace(clock, service, caller);
	}

	/** What was sent over a limit is paid off before the next request begins. @returns milliseconds. */
	owedMs(): number {
		return this.#passed(0);
	}

	/** What passed is waited for by whoever sent it. @param resumed must see whether the source is still the same. @returns milliseconds. */
	passed(bytes: number, source: { pause(): void }, resumed: () => void): number {
		const waitMs = this.#passed(bytes);
		if (waitMs === 0) return 0;
		source.pause();
		this.#clock.after(waitMs, resumed);
		return waitMs;
	}

	/** For what cannot wait: counts it, unless so much has passed already that it has to be dropped. */
	admits(bytes: number): boolean {
		if (this.owedMs() > 0) return false;
		this.#passed(bytes);
		return true;
	}

	#passed(bytes: number): number {
		const now = this.#clock.monotonic();
		return Math.max(this.#first?.passed(bytes, now) ?? 0, this.#second?.passed(bytes, now) ?? 0);
	}
}
