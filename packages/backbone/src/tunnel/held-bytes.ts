/** A piece below it is copied: a slice of it would keep the whole buffer that it arrived in. */
const copyBelowBytes = 16 * 1024;

/** Bytes that wait for a reader, in memory of about their own size however small the pieces are that they came in. */
export class HeldBytes {
	readonly #pieces: Buffer[] = [];
	#tail: Buffer | null = null;
	#tailBytes = 0;
	length = 0;

	push(piece: Buffer): void {
		this.length += piece.length;
		// Nor may a larger one keep more than twice itself.
		if (piece.length >= copyBelowBytes && piece.length * 2 >= piece.buffer.byteLength) {
			this.#settleTail();
			this.#pieces.push(piece);
			return;
		}
		let from = 0;
		while (from < piece.length) {
			if (this.#tail === null) {
				this.#tail = Buffer.allocUnsafeSlow(copyBelowBytes);
				this.#tailBytes = 0;
			}
			const copied = piece.copy(this.#tail, this.#tailBytes, from);
			this.#tailBytes += copied;
			from += copied;
			if (this.#tailBytes === copyBelowBytes) this.#settleTail();
		}
	}

	/** The oldest piece; null = there is none. */
	shift(): Buffer | null {
		if (this.#pieces.length === 0) this.#settleTail();
		const piece = this.#pieces.shift();
		if (piece === undefined) return null;
		this.length -= piece.length;
		return piece;
	}

	clear(): void {
		this.#pieces.length = 0;
		this.#tail = null;
		this.length = 0;
	}

	#settleTail(): void {
		if (this.#tail === null) return;
		this.#pieces.push(this.#tail.subarray(0, this.#tailBytes));
		this.#tail = null;
	}
}
