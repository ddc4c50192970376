/** Writes lib0's encoding; grows as needed. The counterpart of `Reader`. */
export class Writer {
	#bytes: Uint8Array;
	#length = 0;

	/** @param expectedBytes spares it growing. */
	constructor(expectedBytes = 64) {
		this.#bytes = new Uint8Array(expectedBytes);
	}

	u8(value: number): void {
		this.#reserve(1);
		this.#bytes[this.#length++] = value;
	}

	/** @throws RangeError when it is no integer from 0 to 2^53 − 1. */
	varUint(value: number): void {
		if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not an unsigned integer`);
		this.#reserve(8);
		let rest = value;
		while (rest > 0x7f) {
			this.#bytes[this.#length++] = 0x80 | (rest % 128);
			rest = Math.floor(rest / 128);
		}
		this.#bytes[this.#length++] = rest;
	}

	varBytes(bytes: Uint8Array): void {
		this.varUint(bytes.length);
		this.raw(bytes);
	}

	varString(text: string): void {
		this.varBytes(utf8.encode(text));
	}

	raw(bytes: Uint8Array): void {
		this.#reserve(bytes.length);
		this.#bytes.set(bytes, this.#length);
		this.#length += bytes.length;
	}

	/** What was written. A view of its own buffer: the writer is used up. */
	take(): Uint8Array {
		return this.#bytes.subarray(0, this.#length);
	}

	#reserve(count: number): void {
		if (this.#length + count <= this.#bytes.length) return;
		const grown = new Uint8Array(Math.max(this.#bytes.length * 2, this.#length + count));
		grown.set(this.#bytes.subarray(0, this.#length));
		this.#bytes = grown;
	}
}

const utf8 = new TextEncoder();
