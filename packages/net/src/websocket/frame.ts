/** RFC 6455 §5.2: opcodes of data frames. */
export const opcodes = { continuation: 0x0, text: 0x1, binary: 0x2 } as const;

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

const finalBit = 0x80;

function allocateFrame(firstByte: number, length: number): { frame: Buffer; at: number } {
	const headerLength = length < 126 ? 2 : length < 65536 ? 4 : 10;
	const frame = Buffer.allocUnsafe(headerLength + length);
	frame[0] = firstByte;
	if (headerLength === 2) frame[1] = length;
	else if (headerLength === 4) {
		frame[1] = 126;
		frame.writeUInt16BE(length, 2);
	} else {
		frame[1] = 127;
		frame.writeBigUInt64BE(BigInt(length), 2);
	}
	return { frame, at: headerLength };
}
