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
		let bytes = this.#rest === null ? chunk : Buffer.concat([this.#rest, chunk]);
		this.#rest = null;
		while (bytes.length > 0 && !this.#over) {
			const taken = this.#frame(bytes);
			if (taken === 0) {
				// A copy, so that a few bytes do not keep a whole read alive.
				this.#rest = Buffer.from(bytes);
				return;
			}
			bytes = bytes.subarray(taken);
		}
	}

	/** @returns how many bytes the first frame took, 0 when it is not all there. */
	#frame(bytes: Buffer): number {
		if (bytes.length < 2) return 0;
		const first = bytes[0] as number;
		const second = bytes[1] as number;
		const opcode = first & 0x0f;
		const final = (first & 0x80) !== 0;
		if ((first & 0x70) !== 0) return this.#fault(1002, "a reserved bit is set");
		if ((second & 0x80) === 0) return this.#fault(1002, "a client's frames are masked");
		let length = second & 0x7f;
		let at = 2;
		if (opcode >= 8 && (length > 125 || !final)) return this.#fault(1002, "a control frame is whole and short");
		if (length === 126) {
			if (bytes.length < 4) return 0;
			length = bytes.readUInt16BE(2);
			at = 4;
		} else if (length === 127) {
			if (bytes.length < 10) return 0;
			const long = bytes.readBigUInt64BE(2);
			if (long > BigInt(this.#maxMessageBytes)) return this.#tooLarge();
			length = Number(long);
			at = 10;
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
	const from = maskAt + 4;
	for (let index = 0; index < length; index += 1)
		bytes[from + index] = (bytes[from + index] as number) ^ (bytes[maskAt + (index & 3)] as number);
}

/** RFC 6455 §7.4: codes that may stand in a close frame. */
function isSendable(code: number): boolean {
	return (code >= 1000 && code <= 1014 && ![1004, 1005, 1006].includes(code)) || (code >= 3000 && code <= 4999);
}
