/**
 * How far the hub has what one connection sent, by its own count of updates that are on disk (rule S7 of the sync
 * protocol). The answer to its sync step 1 is the first of them: it has everything that was edited before.
 */
export class HandedOver {
	#sent = 0;
	#durable = 0;

	/** A connection opened: nothing of before counts. */
	connected(): void {
		[this.#sent, this.#durable] = [1, 0];
	}

	sent(): void {
		this.#sent++;
	}

	/** @param durable how many of this connection's updates are on disk. */
	acknowledged(durable: number): void {
		this.#durable = durable;
	}

	get complete(): boolean {
		return this.#sent > 0 && this.#durable >= this.#sent;
	}
}
