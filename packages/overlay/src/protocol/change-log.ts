import type { OverlayPeerId } from "./peer-record.ts";

/** A peer came, changed or went; by the classes that it was and is in. */
export interface Change {
	readonly peerId: OverlayPeerId;
	readonly before: string | null;
	readonly after: string | null;
}

/** The last changes, each with its number: what a reader who was away catches up with. */
export class ChangeLog {
	sequence = 0;
	readonly #limit: number;
	#changes: Change[] = [];
	/** The number before the first that is kept. */
	#start = 0;

	/** @param limit how many are kept at least. */
	constructor(limit: number) {
		this.#limit = limit;
	}

	/** Goes on from another's, whose last change has the number `sequence`. */
	restore(sequence: number, changes: readonly Change[]): void {
		this.sequence = sequence;
		this.#changes = [...changes];
		this.#start = sequence - changes.length;
	}

	add(change: Change): void {
		this.sequence += 1;
		this.#changes.push(change);
		if (this.#changes.length < 2 * this.#limit) return;
		const gone = this.#changes.length - this.#limit;
		this.#changes = this.#changes.slice(gone);
		this.#start += gone;
	}

	/** Numbers go on; nobody can catch up from before. */
	forget(): void {
		this.#changes = [];
		this.#start = this.sequence;
	}

	/** What came after the change `sequence`; null = that is not known. */
	after(sequence: number): readonly Change[] | null {
		if (sequence < this.#start || sequence > this.sequence) return null;
		return this.#changes.slice(sequence - this.#start);
	}
}
