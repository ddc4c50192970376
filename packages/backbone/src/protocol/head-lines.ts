/** Lines of which it is known where they stand: more than a head may have. */
const maxLines = 256;

const colonCode = 0x3a;

/**
 * Where the lines of a head stand, found in one pass over its bytes: their ends, their names, and whether any byte is in
 * it that no head may hold. Filled and read within one call, so that one serves all heads of a kind.
 */
export class HeadLines {
	/** Of all bytes, the blank line's CRLF included. */
	length = 0;
	/** It holds a control byte, a CR without its LF, or an LF without its CR. */
	hasBadBytes = false;
	/** Of lines, the first one included and the blank one not. Those beyond what can be known are counted, too. */
	count = 0;
	/** By line: its first colon (-1 = it has none), its CRLF, and what its bytes up to the colon hash to. */
	readonly colons = new Int32Array(maxLines);
	readonly ends = new Int32Array(maxLines);
	readonly hashes = new Int32Array(maxLines);

	/** Of one head. One that is not whole is as bad as its bytes can be. @param text latin1. */
	static of(text: string): HeadLines {
		const lines = new HeadLines();
		if (!lines.read(Buffer.from(text, "latin1"))) lines.hasBadBytes = true;
		return lines;
	}

	/** @returns false when the blank line has not come: nothing is known of such a head. */
	read(bytes: Uint8Array): boolean {
		const { length } = bytes;
		this.count = 0;
		this.hasBadBytes = false;
		let start = 0;
		let colon = -1;
		let hash = 0;
		for (let at = 0; at < length; at++) {
			const code = bytes[at] as number;
			if (code >= 0x20 ? code !== 0x7f : code === 0x09) {
				if (colon !== -1) continue;
				if (code === colonCode) colon = at;
				else hash = hashWith(hash, code);
				continue;
			}
			if (at + 1 === length) return false;
			if (code !== 0x0d || bytes[at + 1] !== 0x0a) {
				this.hasBadBytes = true;
				continue;
			}
			if (at === start && this.count > 0) {
				this.length = at + 2;
				return true;
			}
			if (this.count < maxLines) {
				this.colons[this.count] = colon;
				this.ends[this.count] = at;
				this.hashes[this.count] = hash;
			}
			this.count += 1;
			at += 1;
			start = at + 1;
			colon = -1;
			hash = 0;
		}
		return false;
	}
}

/** What a name hashes to, a byte at a time, from 0 on. */
export function hashWith(hash: number, code: number): number {
	return (Math.imul(hash, 31) + code) | 0;
}
