/** Ends each value. Printable, as newer versions of tmux replace what is not. */
const terminator = "\u241e";

/**
 * How values leave tmux: each behind the other, with an end that no title or folder can forge, as it is replaced in the
 * value, like control characters. Named once in the format: what a pane runs, tmux asks the system each time anew, so a
 * length beside the value would now and then be another value's.
 */
export function field(variable: string): string {
	return `#{s/[\u0001-\u001f${terminator}]/?/:${variable}}${terminator}`;
}

/** Reads what `field` wrote. */
export class FieldReader {
	readonly #text: string;
	#at = 0;

	constructor(text: string) {
		this.#text = text;
	}

	/** Skips line ends; true when nothing is left. */
	get done(): boolean {
		while (this.#text[this.#at] === "\n") this.#at += 1;
		return this.#at >= this.#text.length;
	}

	/** Whether the next character is this mark; then it is passed. */
	mark(character: string): boolean {
		if (this.#text[this.#at] !== character) return false;
		this.#at += 1;
		return true;
	}

	/** @throws Error when the text is not what `field` writes. */
	text(): string {
		const end = this.#text.indexOf(terminator, this.#at);
		if (end === -1) throw new Error(`tmux's answer breaks off at character ${this.#at}`);
		const value = this.#text.slice(this.#at, end);
		this.#at = end + 1;
		return value;
	}

	/** A number; 0 for an empty value. */
	number(): number {
		const value = Number(this.text());
		return Number.isFinite(value) ? value : 0;
	}
}
