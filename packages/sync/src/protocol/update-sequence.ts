import type { LoggedUpdate } from "./room-effects.ts";

/** Bytes of others' updates that wait for what comes before them; above it they are read from the log again. */
const maxWaitingBytes = 4 * 1024 * 1024;

/** Puts updates of several relays into the order of the log: what comes early waits for what is missing before it. */
export class UpdateSequence {
	#head: number;
	readonly #waiting = new Map<number, LoggedUpdate>();
	#waitingBytes = 0;

	/** @param head number of the last update that was given out. */
	constructor(head: number) {
		this.#head = head;
	}

	get head(): number {
		return this.#head;
	}

	/** Something before what waits has not come. */
	get hasGap(): boolean {
		return this.#waiting.size > 0;
	}

	/**
	 * @param updates this relay's own (with their sockets) are never dropped, and win over the same ones as others tell them.
	 * @returns what can be given out now, in order: each number once.
	 */
	offer(updates: readonly LoggedUpdate[]): LoggedUpdate[] {
		for (const update of updates) {
			if (update.seq <= this.#head) continue;
			const before = this.#waiting.get(update.seq);
			if (before !== undefined && (before.socket !== null || update.socket === null)) continue;
			if (before === undefined) {
				const isNext = update.seq === this.#head + 1;
				if (update.socket === null && !isNext && this.#waitingBytes + update.update.length > maxWaitingBytes) continue;
				this.#waitingBytes += update.update.length;
			}
			this.#waiting.set(update.seq, update);
		}
		const run: LoggedUpdate[] = [];
		for (;;) {
			const next = this.#waiting.get(this.#head + 1);
			if (next === undefined) return run;
			this.#waiting.delete(next.seq);
			this.#waitingBytes -= next.update.length;
			this.#head = next.seq;
			run.push(next);
		}
	}
}

/** Neighbours that came from here, or from elsewhere, together. */
export function runsBySource(updates: readonly LoggedUpdate[]): { own: boolean; updates: LoggedUpdate[] }[] {
	const runs: { own: boolean; updates: LoggedUpdate[] }[] = [];
	for (const update of updates) {
		const own = update.socket !== null;
		const last = runs.at(-1);
		if (last?.own === own) last.updates.push(update);
		else runs.push({ own, updates: [update] });
	}
	return runs;
}
