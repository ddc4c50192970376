/** What started something returns one of these. `close` is safe to call twice. */
export interface Closeable {
	close(): Promise<void> | void;
}

/**
 * Everything that one composition started, closed once, last first. One failing close does not keep the others open.
 */
export class Lifetime implements Closeable {
	#owned: Closeable[] = [];
	#closing: Promise<void> | undefined;

	/** Takes ownership and gives the value back: `const store = lifetime.own(openStore(…))`. */
	own<T extends Closeable>(closeable: T): T {
		this.#owned.push(closeable);
		return closeable;
	}

	/** Registers a bare clean-up. */
	defer(close: () => Promise<void> | void): void {
		this.#owned.push({ close });
	}

	/** @throws AggregateError when any close failed, after all were tried. */
	close(): Promise<void> {
		this.#closing ??= this.#closeAll();
		return this.#closing;
	}

	async #closeAll(): Promise<void> {
		const failures: unknown[] = [];
		for (const owned of this.#owned.splice(0).reverse()) {
			try {
				await owned.close();
			} catch (failure) {
				failures.push(failure);
			}
		}
		if (failures.length > 0) throw new AggregateError(failures, "some parts did not close cleanly");
	}
}
