import { isUtf8 } from "node:buffer";

/** Why bytes are not what they should be. Thrown inside this folder only; each decoder's door turns it into a value. */
export class Malformed extends Error {}

/**
 * Reads lib0's encoding (variable-length integers, little-endian groups of 7 bits) with every length checked before it
 * is used. lib0's own decoder makes views past the message's end when the message lies in a pooled buffer, so that a
 * truncated update would pass.
 */
export class Reader {
	readonly bytes: Uint8Array;
	at = 0;

	constructor(bytes: Uint8Array) {
		this.bytes = bytes;
	}

	get left(): number {
		return this.bytes.length - this.at;
	}

	u8(): number {
		const value = this.bytes[this.at];
		if (value === undefined) throw new Malformed(`it ends at byte ${this.at}, inside a value`);
		this.at += 1;
		return value;
	}

	/** At most 2^53 − 1. */
	varUint(): number {
		let value = 0;
		let scale = 1;
		for (;;) {
			const byte = this.u8();
			value += (byte & 0x7f) * scale;
			if (value > Number.MAX_SAFE_INTEGER) throw new Malformed(`a number before byte ${this.at} is above 2^53 − 1`);
			if (byte < 0x80) return value;
			scale *= 128;
			if (scale > 2 ** 56) throw new Malformed(`a number before byte ${this.at} has too many bytes`);
		}
	}

	/** Signed: the first byte holds 6 bits and the sign. Its value is not needed anywhere. */
	skipVarInt(): void {
		let byte = this.u8();
		let value = byte & 0x3f;
		for (let scale = 64; byte >= 0x80; scale *= 128) {
			byte = this.u8();
			value += (byte & 0x7f) * scale;
			if (value > Number.MAX_SAFE_INTEGER) throw new Malformed(`a number before byte ${this.at} is above 2^53 − 1`);
			if (scale > 2 ** 56) throw new Malformed(`a number before byte ${this.at} has too many bytes`);
		}
	}

	skip(length: number): void {
		if (length > this.left)
			throw new Malformed(`${length} bytes are announced at byte ${this.at}, ${this.left} follow`);
		this.at += length;
	}

	/** A view, not a copy. */
	varBytes(): Uint8Array {
		const length = this.varUint();
		const from = this.at;
		this.skip(length);
		return this.bytes.subarray(from, this.at);
	}

	skipVarBytes(): void {
		this.skip(this.varUint());
	}

	/** @throws Malformed when it is not UTF-8. */
	varString(): string {
		const bytes = this.varBytes();
		try {
			return utf8.decode(bytes);
		} catch {
			throw new Malformed(`the text before byte ${this.at} is not UTF-8`);
		}
	}

	/** Length in UTF-16 code units of a string that is skipped: what Yjs counts clocks in. */
	skipVarString(): number {
		const bytes = this.varBytes();
		if (!isUtf8(bytes)) throw new Malformed(`the text before byte ${this.at} is not UTF-8`);
		let units = 0;
		for (let i = 0; i < bytes.length; i++) {
			const byte = bytes[i] as number;
			if ((byte & 0xc0) !== 0x80) units += byte >= 0xf0 ? 2 : 1;
		}
		return units;
	}

	/** @throws Malformed when bytes are left over: what follows was meant by somebody, and not by us. */
	end(): void {
		if (this.left > 0) throw new Malformed(`${this.left} bytes follow after its end`);
	}
}

const utf8 = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
