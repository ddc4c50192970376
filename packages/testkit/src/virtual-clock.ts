import type { Clock, Timer } from "@warren/kernel";

/** Time that moves only when the test says so. Timers fire in order, each at its own instant. */
export class VirtualClock implements Clock {
	#now: number;
	readonly #origin: number;
	#next = 1;
	readonly #timers = new Map<number, { readonly at: number; readonly action: () => void }>();

	/** @param now where wall time begins, milliseconds since the Unix epoch. */
	constructor(now = Date.UTC(2026, 0, 1)) {
		this.#now = now;
		this.#origin = now;
	}

	now(): number {
		return this.#now;
	}

	monotonic(): number {
		return this.#now - this.#origin;
	}

	after(delayMs: number, action: () => void): Timer {
		const id = this.#next++;
		this.#timers.set(id, { at: this.#now + Math.max(0, delayMs), action });
		return { cancel: () => void this.#timers.delete(id) };
	}

	/** Moves time on, firing what falls due, and lets promises settle between timers. */
	async advance(ms: number): Promise<void> {
		const end = this.#now + ms;
		for (;;) {
			let due: { id: number; at: number } | undefined;
			for (const [id, timer] of this.#timers)
				if (timer.at <= end && (due === undefined || timer.at < due.at)) due = { id, at: timer.at };
			if (due === undefined) break;
			this.#now = due.at;
			const { action } = this.#timers.get(due.id) as { action: () => void };
			this.#timers.delete(due.id);
			action();
			await settle();
		}
		this.#now = end;
		await settle();
	}

	/** Timers that wait, for asserting that nothing was left behind. */
	get pending(): number {
		return this.#timers.size;
	}
}

/** Lets everything that is already resolved run. */
function settle(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve));
}
