/** What was typed and not acknowledged. Offsets count the bytes of one viewer's input from its beginning. */
export class TypedInput {
	#typed: number;
	#acknowledged: number;
	/** The first byte of the first piece is number `#acknowledged`. */
	#pieces: Uint8Array[] = [];

	/** @param offset where the viewer that goes on had been acknowledged up to; 0 for a new one. */
	constructor(offset: number) {
		this.#typed = offset;
		this.#acknowledged = offset;
	}

	/** The offset of the next byte. */
	get typed(): number {
		return this.#typed;
	}

	get acknowledged(): number {
		return this.#acknowledged;
	}

	/** Bytes. */
	get waiting(): number {
		return this.#typed - this.#acknowledged;
	}

	push(piece: Uint8Array): void {
		this.#pieces.push(piece);
		this.#typed += piece.length;
	}

	/** Everything before this offset has been acknowledged. */
	reached(offset: number): void {
		while (this.#acknowledged < offset) {
			const piece = this.#pieces[0];
			if (piece === undefined) break;
			const count = Math.min(piece.length, offset - this.#acknowledged);
			this.#acknowledged += count;
			if (count === piece.length) this.#pieces.shift();
			else this.#pieces[0] = piece.subarray(count);
		}
	}

	/** @returns how many bytes were waiting and are not sent any more. */
	forget(): number {
		const bytes = this.waiting;
		this.#pieces = [];
		this.#acknowledged = this.#typed;
		return bytes;
	}

	/** Another viewer's numbers begin at `offset`; what waits is its first input. */
	startAt(offset: number): void {
		this.#typed += offset - this.#acknowledged;
		this.#acknowledged = offset;
	}

	/** What waits, with the offset of each piece. */
	*pieces(): Generator<{ readonly offset: number; readonly bytes: Uint8Array }, void, void> {
		let offset = this.#acknowledged;
		for (const bytes of this.#pieces) {
			yield { offset, bytes };
			offset += bytes.length;
		}
	}
}
