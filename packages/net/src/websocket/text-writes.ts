import { type Frame, frameText, joinFrames } from "./frame.ts";

/** What waits for one socket. */
export interface TextWriter {
	/** All of it is texts of ASCII alone. */
	readonly isPlain: boolean;
	/** Empties it. */
	takePending(): readonly (Frame | string)[];
	write(bytes: Buffer | string): void;
}

/** Where each text goes to somebody else: the first of so many is written to before the turn's end. */
const maxWaiting = 8;
/** …which is so while fewer than one in so many follows another one to the same socket within its turn. */
const fewFollow = 4;

/**
 * What sockets have to write in this turn of the event loop. What several are sent alike, and many texts to a few, wait
 * for the turn's end: one write each. Single texts to many do not: their readers would stand idle while a whole turn is
 * judged, and all that belongs to a socket would have left the processor's caches by then.
 */
export class TextWrites {
	/** Counts turns in which something was written. */
	turn = 0;
	#waiting: TextWriter[] = [];
	/** So many of them have been written to already. */
	#written = 0;
	#texts = 0;
	#following = 0;
	/** As the last turn with such texts was. */
	#scattered = false;

	/** One has something to write, and had nothing before. */
	add(writer: TextWriter): void {
		if (this.#waiting.push(writer) === 1) setImmediate(() => this.#flush());
	}

	/** The same where it is a text that nobody else gets. */
	addAlone(writer: TextWriter): void {
		this.add(writer);
		if (!this.#scattered || this.#waiting.length - this.#written <= maxWaiting) return;
		const oldest = this.#waiting[this.#written++] as TextWriter;
		const { isPlain } = oldest;
		const pending = oldest.takePending();
		if (pending.length > 0) oldest.write(isPlain ? frameText(pending as readonly string[]) : joinFrames(pending));
	}

	/** A text for one socket alone. @param follows it was sent one in this turn already. */
	counted(follows: boolean): void {
		this.#texts += 1;
		if (follows) this.#following += 1;
	}

	/** Neighbours often get the same frames: those are joined once. */
	#flush(): void {
		const waiting = this.#waiting;
		const from = this.#written;
		if (this.#texts > 0) this.#scattered = this.#following * fewFollow < this.#texts;
		this.#texts = 0;
		this.#following = 0;
		this.#waiting = [];
		this.#written = 0;
		this.turn += 1;
		let frames: readonly (Frame | string)[] = [];
		let joined: Buffer | null = null;
		for (let at = from; at < waiting.length; at += 1) {
			const writer = waiting[at] as TextWriter;
			const { isPlain } = writer;
			const pending = writer.takePending();
			if (pending.length === 0) continue;
			if (isPlain) {
				writer.write(frameText(pending as readonly string[]));
				continue;
			}
			if (joined === null || !isSame(frames, pending)) {
				frames = pending;
				joined = joinFrames(pending);
			}
			writer.write(joined);
		}
	}
}

function isSame(a: readonly (Frame | string)[], b: readonly (Frame | string)[]): boolean {
	if (a.length !== b.length) return false;
	for (let index = 0; index < a.length; index += 1) if (a[index] !== b[index]) return false;
	return true;
}
