/** What was asked for longer ago than this is shown to be under way. Milliseconds. */
const patienceMs = 700;

/** Changes that machines and hub were asked for and have not answered: one that takes long must be seen to be under way. */
export class PendingChanges {
	readonly #watchers = new Set<() => void>();
	#count = 0;
	#isLate = false;
	#timer: ReturnType<typeof setTimeout> | undefined;

	/** Counts a change until it is settled, either way. */
	async follow<T>(change: Promise<T>): Promise<T> {
		this.#count += 1;
		this.#timer ??= setTimeout(() => this.#show(true), patienceMs);
		try {
			return await change;
		} finally {
			this.#count -= 1;
			if (this.#count === 0) {
				clearTimeout(this.#timer);
				this.#timer = undefined;
				this.#show(false);
			}
		}
	}

	readonly isLate = (): boolean => this.#isLate;

	readonly watch = (watcher: () => void): (() => void) => {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	};

	#show(isLate: boolean): void {
		if (this.#isLate === isLate) return;
		this.#isLate = isLate;
		for (const watcher of this.#watchers) watcher();
	}
}

export const pendingChanges = new PendingChanges();
