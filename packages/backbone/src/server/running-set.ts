import type { Clock } from "@warren/kernel";

/** What runs now, and the wait for its end. */
export class RunningSet<T> extends Set<T> {
	#emptied: () => void = () => {};

	override delete(each: T): boolean {
		const was = super.delete(each);
		if (this.size === 0) this.#emptied();
		return was;
	}

	/** Resolves once nothing runs, or after `waitMs`. */
	empty(clock: Clock, waitMs: number): Promise<void> {
		if (this.size === 0) return Promise.resolve();
		return new Promise((resolve) => {
			const late = clock.after(waitMs, resolve);
			this.#emptied = () => {
				late.cancel();
				resolve();
			};
		});
	}
}
