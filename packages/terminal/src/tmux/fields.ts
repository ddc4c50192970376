/**
 * How values leave tmux: each as `length:value `, the length in bytes, so that no separator can be forged by a title or
 * a folder's name. Control characters are replaced first: newer versions do so on output, which would break the count.
 */
export function field(variable: string): string {
	const printable = `s/[\u0001-\u001f]/?/`;
	return `#{n;${printable}:${variable}}:#{${printable}:${variable}} `;
}

/** Reads what `field` wrote. */
export class FieldReader {
	readonly #bytes: Buffer;
	#at = 0;

	constructor(text: string) {
		this.#bytes = Buffer.from(text);
	}

	/** Skips line ends; true when nothing is left. */
	get done(): boolean {
		while (this.#bytes[this.#at] === newline) this.#at += 1;
		return this.#at >= this.#bytes.length;
	}

	/** Whether the next byte is this mark; then it is passed. */
	mark(character: string): boolean {
		if (this.#bytes[this.#at] !== character.charCodeAt(0)) return false;
		this.#at += 1;
		return true;
	}

	/** @throws Error when the text is not what `field` writes. */
	text(): string {
		const colon = this.#bytes.indexOf(":", this.#at);
		const digits = this.#bytes.toString("latin1", this.#at, colon === -1 ? this.#at : colon);
		const length = /^\d{1,6}$/.test(digits) ? Number(digits) : Number.NaN;
		const end = colon + 1 + length;
		if (!(end < this.#bytes.length) || this.#bytes[end] !== space) {
			throw new Error(`tmux's answer cannot be read at byte ${this.#at}`);
		}
		this.#at = end + 1;
		return this.#bytes.toString("utf8", colon + 1, end);
	}

	/** A number; 0 for an empty value. */
	number(): number {
		const value = Number(this.text());
		return Number.isFinite(value) ? value : 0;
	}
}

const newline = 10;
const space = 32;
