/** What connections have to write at the end of this turn of the event loop: one callback of the loop for all of them. */
export class TurnWrites {
	#waiting: (() => void)[] = [];

	add(write: () => void): void {
		if (this.#waiting.push(write) === 1) setImmediate(() => this.#run());
	}

	#run(): void {
		const waiting = this.#waiting;
		this.#waiting = [];
		for (const write of waiting) write();
	}
}
