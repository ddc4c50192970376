import type { LoggedUpdate } from "../protocol/index.ts";
import { relayLimits } from "./relay-limits.ts";

/** The newest updates of a room, in memory: readers that are a little behind need no disk, and get nothing of their own back. */
export class RecentUpdates {
	readonly #maxBytes: number;
	#updates: LoggedUpdate[] = [];
	#bytes = 0;

	constructor(maxBytes: number = relayLimits.recentBytes) {
		this.#maxBytes = maxBytes;
	}

	add(updates: readonly LoggedUpdate[]): void {
		for (const each of updates) {
			this.#updates.push(each);
			this.#bytes += each.update.length;
		}
		let dropped = 0;
		while (this.#bytes > this.#maxBytes && dropped < this.#updates.length) {
			this.#bytes -= (this.#updates[dropped++] as LoggedUpdate).update.length;
		}
		// Moving the rest costs; it is done rarely.
		if (dropped > 0) this.#updates = this.#updates.slice(dropped);
	}

	/** Everything after that number, or null when the oldest of it is gone. */
	after(seq: number): readonly LoggedUpdate[] | null {
		const first = this.#updates[0];
		if (first === undefined || first.seq > seq + 1) return null;
		return this.#updates.slice(seq + 1 - first.seq);
	}

	clear(): void {
		this.#updates = [];
		this.#bytes = 0;
	}
}
