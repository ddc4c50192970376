/** RFC 6455 §5.2: opcodes of data frames. */
export const opcodes = { continuation: 0x0, text: 0x1, binary: 0x2 } as const;

const finalBit = 0x80;

/** One unmasked, final, uncompressed frame as it goes on the wire; built once, written to many. */
export type Frame = Buffer & { readonly __frame?: never };

/** Server frames are never masked (RFC 6455 §5.1). */
export function encodeFrame(payload: Uint8Array | string): Frame {
	const text = typeof payload === "string";
	const length = text ? Buffer.byteLength(payload) : payload.byteLength;
	const { frame, at } = allocateFrame(finalBit | (text ? opcodes.text : opcodes.binary), length);
	if (text) frame.write(payload, at, "utf8");
	else frame.set(payload, at);
	return frame;
}

/** One write of what waits for one socket: frames as they are, and texts that are nobody else's. */
export function joinFrames(parts: readonly (Frame | string)[]): Buffer {
	const [only] = parts;
	if (parts.length === 1 && only !== undefined) return typeof only === "string" ? encodeFrame(only) : only;
	let size = 0;
	for (const part of parts) size += typeof part === "string" ? textFrameBytes(part) : part.length;
	const joined = Buffer.allocUnsafe(size);
	let at = 0;
	for (const part of parts) {
		if (typeof part !== "string") {
			joined.set(part, at);
			at += part.length;
			continue;
		}
		const length = Buffer.byteLength(part);
		at = writeHead(joined, at, finalBit | opcodes.text, length);
		joined.write(part, at, "utf8");
		at += length;
	}
	return joined;
}

/** The same for texts of ASCII alone, as the latin1 text of its bytes: the runtime writes that without a buffer. */
export function frameText(texts: readonly string[]): string {
	let all = "";
	for (const text of texts) all += headText(text.length) + text;
	return all;
}

/** What a text of ASCII alone takes on the wire. */
export const asciiFrameBytes = (text: string): number => headBytes(text.length) + text.length;

const headTexts = Array.from({ length: 126 }, (_, length) => String.fromCharCode(finalBit | opcodes.text, length));

function headText(length: number): string {
	if (length < 126) return headTexts[length] as string;
	if (length < 65536) return String.fromCharCode(finalBit | opcodes.text, 126, length >> 8, length & 0xff);
	const head = Buffer.alloc(10);
	writeHead(head, 0, finalBit | opcodes.text, length);
	return head.toString("latin1");
}

/** What a text takes on the wire. */
export function textFrameBytes(text: string): number {
	const length = Buffer.byteLength(text);
	return headBytes(length) + length;
}

/**
 * A binary message as several frames (RFC 6455 §5.4), so that a large one can be handed to a slow reader piece by piece.
 * Nothing but control frames may be sent between them.
 */
export function encodeFragments(payload: Uint8Array, maxFragmentBytes: number): Frame[] {
	const fragments: Frame[] = [];
	for (let from = 0; from === 0 || from < payload.length; from += maxFragmentBytes) {
		const piece = payload.subarray(from, from + maxFragmentBytes);
		const last = from + piece.length >= payload.length;
		const opcode = from === 0 ? opcodes.binary : opcodes.continuation;
		const { frame, at } = allocateFrame((last ? finalBit : 0) | opcode, piece.length);
		frame.set(piece, at);
		fragments.push(frame);
	}
	return fragments;
}

function allocateFrame(firstByte: number, length: number): { frame: Buffer; at: number } {
	const frame = Buffer.allocUnsafe(headBytes(length) + length);
	return { frame, at: writeHead(frame, 0, firstByte, length) };
}

const headBytes = (length: number): number => (length < 126 ? 2 : length < 65536 ? 4 : 10);

/** @returns where the payload begins. */
function writeHead(into: Buffer, at: number, firstByte: number, length: number): number {
	into[at] = firstByte;
	if (length < 126) into[at + 1] = length;
	else if (length < 65536) {
		into[at + 1] = 126;
		into.writeUInt16BE(length, at + 2);
	} else {
		into[at + 1] = 127;
		into.writeBigUInt64BE(BigInt(length), at + 2);
	}
	return at + headBytes(length);
}
