/** Time, handed in so that tests run on a virtual clock (testkit). */
export interface Clock {
	/** Wall clock, milliseconds since the Unix epoch. May jump. */
	now(): number;
	/** Milliseconds that never go back; its origin means nothing. */
	monotonic(): number;
	/** Calls `action` once after `delayMs`, or after 24 days where that is longer. The timer does not keep the process alive. */
	after(delayMs: number, action: () => void): Timer;
}

export interface Timer {
	cancel(): void;
}

/** Of the runtime's timers: a longer one would fire at once. */
const longestDelayMs = 2 ** 31 - 1;

export const systemClock: Clock = {
	now: () => Date.now(),
	monotonic: () => performance.now(),
	after(delayMs, action) {
		const timer = setTimeout(action, Math.min(delayMs, longestDelayMs));
		// Timers of Workers are numbers.
		(timer as Partial<typeof timer>).unref?.();
		return { cancel: () => clearTimeout(timer) };
	},
};

/** Resolves after `delayMs`, or rejects with the signal's reason. */
export function delay(clock: Clock, delayMs: number, signal?: AbortSignal): Promise<void> {
	return new Promise((resolve, reject) => {
		if (signal?.aborted) return reject(signal.reason);
		const onAbort = () => {
			timer.cancel();
			reject(signal?.reason);
		};
		const timer = clock.after(delayMs, () => {
			signal?.removeEventListener("abort", onAbort);
			resolve();
		});
		signal?.addEventListener("abort", onAbort, { once: true });
	});
}
