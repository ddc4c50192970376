/** Bytes that lanes' windows may grow by beyond their first ones, of one connection or of all of a process. */
export class WindowBudget {
	readonly #whole: WindowBudget | null;
	#left: number;
	/** What a lane has grown to here: the next one that is held back gets it without trying what lies between. */
	widest = 0;

	/** @param whole what this one is a part of. */
	constructor(bytes: number, whole: WindowBudget | null = null) {
		this.#left = bytes;
		this.#whole = whole;
	}

	get left(): number {
		return this.#whole === null ? this.#left : Math.min(this.#left, this.#whole.left);
	}

	/** @returns how many of them: never more than half of what is left, so that whoever comes later finds some, too. */
	take(bytes: number): number {
		const taken = Math.min(bytes, Math.floor(this.left / 2));
		this.give(-taken);
		return taken;
	}

	give(bytes: number): void {
		this.#left += bytes;
		this.#whole?.give(bytes);
	}
}
