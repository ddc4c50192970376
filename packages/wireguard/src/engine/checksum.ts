import { putU16 } from "../protocol/ip-packet.ts";
import type { Arena } from "./arena.ts";

/** Internet checksums (RFC 1071) of packets in the arena. Sums are of little-endian words throughout. */
export function fold(sum: number): number {
	let folded = sum;
	while (folded > 0xffff) folded = (folded & 0xffff) + (folded >>> 16);
	return folded;
}

/** Sum of the pseudo header of a packet at `ip`: addresses, protocol and the length of what follows the IP header. */
export function pseudoSum(arena: Arena, ip: number, isV4: boolean, protocol: number, length: number): number {
	const addresses = isV4 ? arena.sum(ip + 12, 8) : arena.sum(ip + 8, 32);
	return fold(addresses + swap(protocol) + swap(length & 0xffff) + (length >>> 16));
}

/** Writes the header checksum of a v4 packet. */
export function writeIpChecksum(arena: Arena, ip: number): void {
	const { bytes } = arena;
	bytes[ip + 10] = bytes[ip + 11] = 0;
	writeSum(arena, ip + 10, ~arena.sum(ip, ((bytes[ip] as number) & 15) * 4));
}

/** Writes the checksum of what lies at `start` for `length` bytes into the field at `field`, pseudo header included. */
export function writeTransportChecksum(
	arena: Arena,
	start: number,
	length: number,
	field: number,
	pseudo: number,
	isUdp: boolean,
): void {
	arena.bytes[field] = arena.bytes[field + 1] = 0;
	let sum = ~fold(arena.sum(start, length) + pseudo) & 0xffff;
	// A UDP checksum of zero says "none" (RFC 768).
	if (sum === 0 && isUdp) sum = 0xffff;
	writeSum(arena, field, sum);
}

/** Writes what the kernel calls a partial checksum: the pseudo header's sum, for whoever completes it. */
export function writePartial(arena: Arena, field: number, pseudo: number): void {
	writeSum(arena, field, pseudo);
}

export function writeSum(arena: Arena, field: number, littleEndian: number): void {
	putU16(arena.bytes, field, swap(littleEndian & 0xffff));
}

export function swap(value: number): number {
	return ((value & 0xff) << 8) | (value >>> 8);
}
