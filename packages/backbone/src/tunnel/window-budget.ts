/** Bytes that lanes' windows may grow by beyond their first ones, of one connection or of all of a process. */
export class WindowBudget {
	readonly #whole: WindowBudget | null;
	#left: number;

	/** @param whole what this one is a part of. */
	constructor(bytes: number, whole: WindowBudget | null = null) {
		this.#left = bytes;
		this.#whole = whole;
	}

	get left(): number {
		return this.#whole === null ? this.#left : Math.min(this.#left, this.#whole.left);
	}

	/**
	 * @param held what the lane has of it already.
	 * @returns how many more it gets: with those, half at most of what is left, so that whoever comes later finds some, too.
	 */
	take(bytes: number, held: number): number {
		const most = Math.floor((this.left + held) / 2) - held;
		const taken = Math.max(0, Math.min(bytes, most));
		this.give(-taken);
		return taken;
	}

	give(bytes: number): void {
		this.#left += bytes;
		this.#whole?.give(bytes);
	}
}
