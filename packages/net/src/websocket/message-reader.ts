import { isUtf8 } from "node:buffer";

/** What a client said, or why the connection is over (RFC 6455 close code). */
export interface ReaderEvents {
	onText(text: string): void;
	onPing(payload: Buffer): void;
	onClose(code: number): void;
	/** Called once; nothing comes after it. */
	onFault(code: number, reason: string): void;
}

/**
 * Reads a client's frames (RFC 6455 §5) where connections are many and messages small text: no state but the unfinished
 * frame, no copy of a whole one. Any binary message, extension bit or unmasked frame ends the connection.
 */
export class MessageReader {
	readonly #events: ReaderEvents;
	readonly #maxMessageBytes: number;
	#rest: Buffer | null = null;
	/** So much of `#rest` is there. */
	#restBytes = 0;
	/** Of a message in several frames. */
	#pieces: Buffer[] | null = null;
	#pieceBytes = 0;
	#over = false;

	constructor(events: ReaderEvents, maxMessageBytes: number) {
		this.#events = events;
		this.#maxMessageBytes = maxMessageBytes;
	}

	/** `chunk` is unmasked in place. */
	read(chunk: Buffer): void {
		if (this.#over) return;
		const bytes = this.#rest === null ? chunk : this.#joined(this.#rest, chunk);
		for (let at = 0; at < bytes.length; ) {
			const end = this.#frame(bytes, at);
			if (this.#over) return;
			if (end === 0) return this.#keep(bytes, at);
			at = end;
		}
		this.#rest = null;
	}

	/** The rest has room to grow into: a frame that comes in many small reads is not copied at each of them. */
	#joined(rest: Buffer, chunk: Buffer): Buffer {
		const length = this.#restBytes + chunk.length;
		let all = rest;
		if (length > rest.length) {
			all = Buffer.allocUnsafe(Math.max(length, 2 * rest.length));
			rest.copy(all, 0, 0, this.#restBytes);
			this.#rest = all;
		}
		chunk.copy(all, this.#restBytes);
		return all.subarray(0, length);
	}

	#keep(bytes: Buffer, from: number): void {
		this.#restBytes = bytes.length - from;
		// A copy, so that a few bytes do not keep a whole read alive; what is the rest alone stays where it is.
		if (this.#rest === null || from > 0) this.#rest = Buffer.from(bytes.subarray(from));
	}

	/** @returns where the frame that begins at `from` ends, 0 when it is not all there. */
	#frame(bytes: Buffer, from: number): number {
		if (bytes.length - from < 2) return 0;
		const first = bytes[from] as number;
		const second = bytes[from + 1] as number;
		const opcode = first & 0x0f;
		const final = (first & 0x80) !== 0;
		if ((first & 0x70) !== 0) return this.#fault(1002, "a reserved bit is set");
		if ((second & 0x80) === 0) return this.#fault(1002, "a client's frames are masked");
		let length = second & 0x7f;
		let at = from + 2;
		if (opcode >= 8 && (length > 125 || !final)) return this.#fault(1002, "a control frame is whole and short");
		if (length === 126) {
			if (bytes.length < at + 2) return 0;
			length = bytes.readUInt16BE(at);
			at += 2;
		} else if (length === 127) {
			if (bytes.length < at + 8) return 0;
			const long = bytes.readBigUInt64BE(at);
			if (long > BigInt(this.#maxMessageBytes)) return this.#tooLarge();
			length = Number(long);
			at += 8;
		}
		if (length + this.#pieceBytes > this.#maxMessageBytes) return this.#tooLarge();
		const end = at + 4 + length;
		if (bytes.length < end) return 0;
		unmask(bytes, at, length);
		this.#handle(opcode, final, bytes.subarray(at + 4, end));
		return end;
	}

	#handle(opcode: number, final: boolean, payload: Buffer): void {
		switch (opcode) {
			case 0x0:
				if (this.#pieces === null) return void this.#fault(1002, "a continuation of nothing");
				return this.#piece(this.#pieces, final, payload);
			case 0x1:
				if (this.#pieces !== null) return void this.#fault(1002, "a message within a message");
				if (final) return this.#text(payload);
				this.#pieces = [];
				return this.#piece(this.#pieces, false, payload);
			case 0x2:
				return void this.#fault(1003, "messages are text here");
			case 0x8: {
				const code = payload.length >= 2 ? payload.readUInt16BE(0) : 1005;
				this.#over = true;
				return this.#events.onClose(isSendable(code) ? code : payload.length === 0 ? 1005 : 1002);
			}
			case 0x9:
				return this.#events.onPing(Buffer.from(payload));
			case 0xa:
				return;
			default:
				return void this.#fault(1002, "an unknown kind of frame");
		}
	}

	#piece(pieces: Buffer[], final: boolean, payload: Buffer): void {
		pieces.push(Buffer.from(payload));
		this.#pieceBytes += payload.length;
		if (pieces.length > maxPieces) return void this.#fault(1008, "a message in too many frames");
		if (!final) return;
		this.#pieces = null;
		this.#pieceBytes = 0;
		this.#text(Buffer.concat(pieces));
	}

	#text(payload: Buffer): void {
		if (!isUtf8(payload)) return void this.#fault(1007, "the text is not UTF-8");
		this.#events.onText(payload.toString("utf8"));
	}

	#tooLarge(): number {
		return this.#fault(1009, `a message has at most ${this.#maxMessageBytes} bytes`);
	}

	#fault(code: number, reason: string): number {
		this.#over = true;
		this.#rest = null;
		this.#pieces = null;
		this.#events.onFault(code, reason);
		return 0;
	}
}

/** Of one message: an endless trickle of empty frames costs memory too. */
const maxPieces = 1_000;

function unmask(bytes: Buffer, maskAt: number, length: number): void {
	const m0 = bytes[maskAt] as number;
	const m1 = bytes[maskAt + 1] as number;
	const m2 = bytes[maskAt + 2] as number;
	const m3 = bytes[maskAt + 3] as number;
	if ((m0 | m1 | m2 | m3) === 0) return;
	let at = maskAt + 4;
	const end = at + length;
	for (const whole = end - 3; at < whole; at += 4) {
		bytes[at] = (bytes[at] as number) ^ m0;
		bytes[at + 1] = (bytes[at + 1] as number) ^ m1;
		bytes[at + 2] = (bytes[at + 2] as number) ^ m2;
		bytes[at + 3] = (bytes[at + 3] as number) ^ m3;
	}
	for (let mask = maskAt; at < end; at += 1, mask += 1) bytes[at] = (bytes[at] as number) ^ (bytes[mask] as number);
}

/** RFC 6455 §7.4: codes that may stand in a close frame. */
function isSendable(code: number): boolean {
	return (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
}
