/**
 * STUN's binding request and answer (RFC 8489 §5, §14.2): a 20-byte header, then attributes.
 *
 *   0   2      4         8                  20
 *   ├type┼length┼ cookie ─┼── transaction ────┤ attributes: type(2) length(2) value, padded to 4
 */
export const stunCookie = 0x2112a442;
const bindingRequest = 0x0001;
const bindingSuccess = 0x0101;
const xorMappedAddress = 0x0020;
const mappedAddress = 0x0001;
export const stunHeaderBytes = 20;
/** Larger ones are nobody's binding message. */
const maxStunBytes = 548;

export interface MappedAddress {
	readonly address: string;
	readonly port: number;
}

export type StunMessage =
	| { readonly type: "request"; readonly transaction: Uint8Array }
	| { readonly type: "answer"; readonly transaction: Uint8Array; readonly mapped: MappedAddress };

/** Whether a datagram's first bytes are STUN's: two zero bits, the cookie. WireGuard's types are 1 to 4 without it. */
export function looksLikeStun(bytes: Uint8Array): boolean {
	return bytes.length >= stunHeaderBytes && (bytes[0] as number) < 0x40 && view(bytes).getUint32(4) === stunCookie;
}

/** @param transaction 12 bytes. */
export function encodeStunRequest(transaction: Uint8Array): Uint8Array {
	const bytes = new Uint8Array(stunHeaderBytes);
	view(bytes).setUint16(0, bindingRequest);
	view(bytes).setUint32(4, stunCookie);
	bytes.set(transaction, 8);
	return bytes;
}

/** @param mapped what the request came from, v4 or v6 literal. */
export function encodeStunAnswer(transaction: Uint8Array, mapped: MappedAddress): Uint8Array {
	const address = addressBytes(mapped.address);
	const bytes = new Uint8Array(stunHeaderBytes + 8 + address.length);
	const at = view(bytes);
	at.setUint16(0, bindingSuccess);
	at.setUint16(2, 8 + address.length);
	at.setUint32(4, stunCookie);
	bytes.set(transaction, 8);
	at.setUint16(20, xorMappedAddress);
	at.setUint16(22, 4 + address.length);
	bytes[25] = address.length === 4 ? 1 : 2;
	at.setUint16(26, mapped.port ^ (stunCookie >>> 16));
	// The mask is the cookie and the transaction as they stand in the header.
	for (const [index, byte] of address.entries()) bytes[28 + index] = byte ^ (bytes[4 + index] as number);
	return bytes;
}

/** @returns null for whatever is no well-formed binding request or answer. */
export function decodeStun(bytes: Uint8Array): StunMessage | null {
	if (!looksLikeStun(bytes) || bytes.length > maxStunBytes) return null;
	const at = view(bytes);
	const type = at.getUint16(0);
	if (at.getUint16(2) !== bytes.length - stunHeaderBytes || bytes.length % 4 !== 0) return null;
	const transaction = Uint8Array.from(bytes.subarray(8, 20));
	if (type === bindingRequest) return { type: "request", transaction };
	if (type !== bindingSuccess) return null;
	let plain: MappedAddress | null = null;
	for (let offset = stunHeaderBytes; offset + 4 <= bytes.length; ) {
		const attribute = at.getUint16(offset);
		const length = at.getUint16(offset + 2);
		if (offset + 4 + length > bytes.length) return null;
		const value = bytes.subarray(offset + 4, offset + 4 + length);
		if (attribute === xorMappedAddress) {
			const mapped = readAddress(value, bytes.subarray(4, 20));
			return mapped === null ? null : { type: "answer", transaction, mapped };
		}
		if (attribute === mappedAddress) plain = readAddress(value, new Uint8Array(16));
		offset += 4 + Math.ceil(length / 4) * 4;
	}
	return plain === null ? null : { type: "answer", transaction, mapped: plain };
}

function readAddress(value: Uint8Array, mask: Uint8Array): MappedAddress | null {
	const family = value[1];
	const length = family === 1 ? 4 : family === 2 ? 16 : 0;
	if (length === 0 || value.length !== 4 + length) return null;
	const port = view(value).getUint16(2) ^ view(mask).getUint16(0);
	const address = Uint8Array.from(value.subarray(4)).map((byte, index) => byte ^ (mask[index] as number));
	return port === 0 ? null : { address: formatAddress(address), port };
}

/** @param bytes 4 or 16. */
export function formatAddress(bytes: Uint8Array): string {
	if (bytes.length === 4) return bytes.join(".");
	const groups = Array.from({ length: 8 }, (_, index) => view(bytes).getUint16(index * 2));
	let [bestAt, bestLength] = [-1, 1];
	for (let at = 0; at < 8; at++) {
		let length = 0;
		while (at + length < 8 && groups[at + length] === 0) length += 1;
		if (length > bestLength) [bestAt, bestLength] = [at, length];
	}
	const hex = (part: readonly number[]) => part.map((group) => group.toString(16)).join(":");
	return bestAt === -1 ? hex(groups) : `${hex(groups.slice(0, bestAt))}::${hex(groups.slice(bestAt + bestLength))}`;
}

/** 4 or 16 bytes of a literal. */
export function addressBytes(address: string): Uint8Array {
	if (!address.includes(":")) return Uint8Array.from(address.split("."), Number);
	const [left = "", right] = address.split("::");
	const groups = (half: string) => (half === "" ? [] : half.split(":").map((group) => Number.parseInt(group, 16)));
	const head = groups(left);
	const tail = right === undefined ? [] : groups(right);
	const all = [...head, ...Array<number>(Math.max(0, 8 - head.length - tail.length)).fill(0), ...tail];
	return Uint8Array.from(all.flatMap((group) => [group >> 8, group & 0xff]));
}

function view(bytes: Uint8Array): DataView {
	return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
