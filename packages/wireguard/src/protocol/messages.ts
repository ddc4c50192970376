/**
 * The wire document. All integers little-endian; a message's first four bytes are its type, of which the upper three
 * are zero. WireGuard paper, section 5.4.
 */

/**
 * initiation, 148 bytes, initiator → responder:
 * type u32 = 1 | sender u32 | ephemeral 32 | static 32+16 | timestamp 12+16 | mac1 16 | mac2 16
 */
export const initiation = {
	type: 1,
	bytes: 148,
	sender: 4,
	ephemeral: 8,
	static: 40,
	timestamp: 88,
	mac1: 116,
	mac2: 132,
} as const;

/** response, 92 bytes, responder → initiator: type u32 = 2 | sender u32 | receiver u32 | ephemeral 32 | empty 0+16 | mac1 16 | mac2 16 */
export const response = {
	type: 2,
	bytes: 92,
	sender: 4,
	receiver: 8,
	ephemeral: 12,
	empty: 44,
	mac1: 60,
	mac2: 76,
} as const;

/** cookie reply, 64 bytes, responder under load → initiator: type u32 = 3 | receiver u32 | nonce 24 | cookie 16+16 */
export const cookieReply = { type: 3, bytes: 64, receiver: 4, nonce: 8, cookie: 32 } as const;

/** data, 32 bytes or more, both ways: type u32 = 4 | receiver u32 | counter u64 | sealed inner packet n+16 */
export const transport = { type: 4, minBytes: 32, receiver: 4, counter: 8, payload: 16 } as const;

export type MessageKind = "initiation" | "response" | "cookie" | "transport" | "foreign";

/**
 * What a datagram is by its first bytes and its length. `foreign` is another protocol's, or a WireGuard message of a
 * wrong length: neither reaches a handshake.
 */
export function kindOf(bytes: Uint8Array, offset = 0, length = bytes.length - offset): MessageKind {
	if (length < 4 || bytes[offset + 1] !== 0 || bytes[offset + 2] !== 0 || bytes[offset + 3] !== 0) return "foreign";
	switch (bytes[offset]) {
		case initiation.type:
			return length === initiation.bytes ? "initiation" : "foreign";
		case response.type:
			return length === response.bytes ? "response" : "foreign";
		case cookieReply.type:
			return length === cookieReply.bytes ? "cookie" : "foreign";
		case transport.type:
			return length >= transport.minBytes ? "transport" : "foreign";
		default:
			return "foreign";
	}
}

export function readU32(bytes: Uint8Array, offset: number): number {
	return (
		((bytes[offset] ?? 0) |
			((bytes[offset + 1] ?? 0) << 8) |
			((bytes[offset + 2] ?? 0) << 16) |
			((bytes[offset + 3] ?? 0) << 24)) >>>
		0
	);
}

export function writeU32(bytes: Uint8Array, offset: number, value: number): void {
	bytes[offset] = value;
	bytes[offset + 1] = value >>> 8;
	bytes[offset + 2] = value >>> 16;
	bytes[offset + 3] = value >>> 24;
}

/** A counter of a data message; infinite beyond what a number holds exactly, which no honest session reaches. */
export function readCounter(bytes: Uint8Array, offset: number): number {
	const high = readU32(bytes, offset + 4);
	return high >= 0x20_0000 ? Number.POSITIVE_INFINITY : high * 0x1_0000_0000 + readU32(bytes, offset);
}

export function writeTransportHeader(bytes: Uint8Array, offset: number, receiver: number, counter: number): void {
	writeU32(bytes, offset, transport.type);
	writeU32(bytes, offset + transport.receiver, receiver);
	writeU32(bytes, offset + transport.counter, counter >>> 0);
	writeU32(bytes, offset + transport.counter + 4, Math.floor(counter / 0x1_0000_0000));
}
