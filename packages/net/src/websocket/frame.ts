/** RFC 6455 §5.2: opcodes of data frames. */
export const opcodes = { text: 0x1, binary: 0x2 } as const;

/** One unmasked, final, uncompressed frame as it goes on the wire; built once, written to many. */
export type Frame = Buffer & { readonly __frame?: never };

/** Server frames are never masked (RFC 6455 §5.1). */
export function encodeFrame(payload: Uint8Array | string): Frame {
	const text = typeof payload === "string";
	const length = text ? Buffer.byteLength(payload) : payload.byteLength;
	const headerLength = length < 126 ? 2 : length < 65536 ? 4 : 10;
	const frame = Buffer.allocUnsafe(headerLength + length);
	frame[0] = 0x80 | (text ? opcodes.text : opcodes.binary);
	if (headerLength === 2) frame[1] = length;
	else if (headerLength === 4) {
		frame[1] = 126;
		frame.writeUInt16BE(length, 2);
	} else {
		frame[1] = 127;
		frame.writeBigUInt64BE(BigInt(length), 2);
	}
	if (text) frame.write(payload, headerLength, "utf8");
	else frame.set(payload, headerLength);
	return frame;
}
