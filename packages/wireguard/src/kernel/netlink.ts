/**
 * Netlink messages as bytes, netlink(7). Little-endian: Node runs on no other Linux. Nothing here speaks to a kernel.
 *
 * message: length u32 | type u16 | flags u16 | sequence u32 | port u32 | body, padded to 4
 * attribute: length u16, header included | type u16 (0x8000 = nested) | value, padded to 4
 */
export const messageHeaderBytes = 16;
const attributeHeaderBytes = 4;
const nested = 0x8000;
const typeMask = 0x3fff;
/** An attribute's length is 16 bits. */
const maxAttributeBytes = 0xffff;

export const messageFlags = {
	request: 0x1,
	multi: 0x2,
	ack: 0x4,
	dump: 0x300,
	replace: 0x100,
	excl: 0x200,
	create: 0x400,
};
export const messageTypes = { error: 2, done: 3 } as const;

/** What a value may be: bytes as they are, or attributes within. */
export type AttributeValue = Uint8Array | readonly Uint8Array[];

/** One attribute. @throws RangeError when its value is longer than an attribute can say. */
export function attribute(type: number, value: AttributeValue): Uint8Array {
	const isNested = !(value instanceof Uint8Array);
	const body = isNested ? joined(value) : value;
	const length = attributeHeaderBytes + body.length;
	if (length > maxAttributeBytes) throw new RangeError(`An attribute of ${body.length} bytes is too long.`);
	const bytes = new Uint8Array(aligned(length));
	const view = new DataView(bytes.buffer);
	view.setUint16(0, length, true);
	view.setUint16(2, isNested ? type | nested : type, true);
	bytes.set(body, attributeHeaderBytes);
	return bytes;
}

export function u8(value: number): Uint8Array {
	return Uint8Array.of(value);
}

export function u16(value: number): Uint8Array {
	return Uint8Array.of(value, value >>> 8);
}

export function u32(value: number): Uint8Array {
	return Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24);
}

/** With the zero that ends it. */
export function text(value: string): Uint8Array {
	return new TextEncoder().encode(`${value}\0`);
}

export function joined(pieces: readonly Uint8Array[]): Uint8Array {
	const bytes = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
	let at = 0;
	for (const piece of pieces) {
		bytes.set(piece, at);
		at += piece.length;
	}
	return bytes;
}

export function message(type: number, flags: number, sequence: number, body: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(messageHeaderBytes + body.length);
	const view = new DataView(bytes.buffer);
	view.setUint32(0, bytes.length, true);
	view.setUint16(4, type, true);
	view.setUint16(6, flags, true);
	view.setUint32(8, sequence, true);
	bytes.set(body, messageHeaderBytes);
	return bytes;
}

export interface Message {
	readonly type: number;
	readonly flags: number;
	readonly sequence: number;
	readonly body: Uint8Array;
}

/** Of one read; ends before what is not whole. */
export function* messages(bytes: Uint8Array): Generator<Message> {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	for (let at = 0; at + messageHeaderBytes <= bytes.length; ) {
		const length = view.getUint32(at, true);
		if (length < messageHeaderBytes || at + length > bytes.length) return;
		yield {
			type: view.getUint16(at + 4, true),
			flags: view.getUint16(at + 6, true),
			sequence: view.getUint32(at + 8, true),
			body: bytes.subarray(at + messageHeaderBytes, at + length),
		};
		at += aligned(length);
	}
}

/** In order: a list's members share one type. Ends before what is not whole. */
export function* attributes(bytes: Uint8Array): Generator<{ readonly type: number; readonly value: Uint8Array }> {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
	for (let at = 0; at + attributeHeaderBytes <= bytes.length; ) {
		const length = view.getUint16(at, true);
		if (length < attributeHeaderBytes || at + length > bytes.length) return;
		yield {
			type: view.getUint16(at + 2, true) & typeMask,
			value: bytes.subarray(at + attributeHeaderBytes, at + length),
		};
		at += aligned(length);
	}
}

/** A little-endian number of the value's own width; 0 for one of no known width. */
export function numberOf(value: Uint8Array): number {
	const view = new DataView(value.buffer, value.byteOffset, value.byteLength);
	if (value.length === 8) return Number(view.getBigInt64(0, true));
	if (value.length === 4) return view.getUint32(0, true);
	if (value.length === 2) return view.getUint16(0, true);
	return value.length === 1 ? (value[0] as number) : 0;
}

function aligned(length: number): number {
	return (length + 3) & ~3;
}
