/**
 * What may be large goes to one reader one after another, and only while nothing waits for it: documents that share a
 * socket, and one that asks again and again without reading.
 */
export class SendTurns {
	readonly #isBlocked: () => boolean;
	#waiting: (() => Promise<void>)[] = [];
	#busy = false;

	constructor(isBlocked: () => boolean) {
		this.#isBlocked = isBlocked;
	}

	/** @param work never rejects. */
	add(work: () => Promise<void>): void {
		this.#waiting.push(work);
		this.next();
	}

	/** Perhaps nothing waits for the reader any more. */
	next(): void {
		if (this.#busy || this.#isBlocked()) return;
		const work = this.#waiting.shift();
		if (work === undefined) return;
		this.#busy = true;
		void work().finally(() => {
			this.#busy = false;
			this.next();
		});
	}

	clear(): void {
		this.#waiting = [];
	}
}
