import { protocolUdp, putU16, putU32, u16, u32 } from "../protocol/ip-packet.ts";
import type { Arena } from "./arena.ts";
import { pseudoSum, swap, writeIpChecksum, writeTransportChecksum } from "./checksum.ts";

/** What the virtio header says of a packet from the TUN. `struct virtio_net_hdr`, little-endian. */
export interface Offload {
	needsChecksum: boolean;
	/** 0 none, 1 TCP over v4, 4 TCP over v6, 5 UDP. */
	segmentation: number;
	headerBytes: number;
	/** Payload bytes a segment. */
	segmentBytes: number;
	checksumStart: number;
	checksumOffset: number;
}

export const segmentationOf = { none: 0, tcp4: 1, tcp6: 4, udp: 5 } as const;
const ecnBit = 0x80;
const finAndPush = 0x09;
const congestionReduced = 0x80;

export function readOffload(view: DataView, offset: number, into: Offload): void {
	into.needsChecksum = (view.getUint8(offset) & 1) !== 0;
	into.segmentation = view.getUint8(offset + 1) & ~ecnBit;
	into.headerBytes = view.getUint16(offset + 2, true);
	into.segmentBytes = view.getUint16(offset + 4, true);
	into.checksumStart = view.getUint16(offset + 6, true);
	into.checksumOffset = view.getUint16(offset + 8, true);
}

/** Completes the checksum that the kernel left to us. False = the header names a place outside the packet. */
export function completeChecksum(arena: Arena, at: number, length: number, offload: Offload): boolean {
	const start = at + offload.checksumStart;
	const field = start + offload.checksumOffset;
	if (offload.checksumStart < 20 || field + 2 > at + length) return false;
	// The field holds the pseudo header's sum, which is thereby part of what is summed.
	const sum = ~arena.sum(start, at + length - start) & 0xffff;
	const big = swap(sum);
	putU16(arena.bytes, field, big === 0 ? 0xffff : big);
	return true;
}

/**
 * Cuts a super-packet into packets that the wire takes. For each: `place(length)` tells where, the packet is written
 * there whole, with lengths, identification, sequence, flags and checksums of its own, and `done(length)` is called.
 * False = its headers contradict each other, and nothing was made of it.
 */
export function segment(
	arena: Arena,
	at: number,
	length: number,
	offload: Offload,
	place: (length: number) => number,
	done: (length: number) => void,
): boolean {
	const { bytes } = arena;
	const isV4 = (bytes[at] as number) >>> 4 === 4;
	const isUdp = offload.segmentation === segmentationOf.udp;
	const ipBytes = offload.checksumStart;
	if (ipBytes < (isV4 ? 20 : 40) || ipBytes + (isUdp ? 8 : 20) > length || offload.segmentBytes === 0) return false;
	// What the kernel calls the header's length is a hint (it may name less): the packet's own is right.
	const transportBytes = isUdp ? 8 : ((bytes[at + ipBytes + 12] as number) >>> 4) * 4;
	const headerBytes = ipBytes + transportBytes;
	if (transportBytes < (isUdp ? 8 : 20) || headerBytes > length) return false;
	const protocol = isUdp ? protocolUdp : 6;
	const checksumOffset = isUdp ? 6 : 16;
	const firstId = isV4 ? u16(bytes, at + 4) : 0;
	const firstSequence = isUdp ? 0 : u32(bytes, at + ipBytes + 4);
	const flags = isUdp ? 0 : (bytes[at + ipBytes + 13] as number);

	let number = 0;
	for (let from = headerBytes; from < length || number === 0; from += offload.segmentBytes) {
		const payload = Math.min(offload.segmentBytes, length - from);
		const size = headerBytes + payload;
		const to = place(size);
		bytes.copyWithin(to, at, at + headerBytes);
		bytes.copyWithin(to + headerBytes, at + from, at + from + payload);
		if (isV4) {
			putU16(bytes, to + 2, size);
			putU16(bytes, to + 4, (firstId + number) & 0xffff);
			writeIpChecksum(arena, to);
		} else putU16(bytes, to + 4, size - 40);
		const start = to + ipBytes;
		if (isUdp) putU16(bytes, start + 4, 8 + payload);
		else {
			putU32(bytes, start + 4, (firstSequence + (from - headerBytes)) >>> 0);
			let own = flags;
			if (from + payload < length) own &= ~finAndPush;
			if (number > 0) own &= ~congestionReduced;
			bytes[start + 13] = own;
		}
		const pseudo = pseudoSum(arena, to, isV4, protocol, size - ipBytes);
		writeTransportChecksum(arena, start, size - ipBytes, start + checksumOffset, pseudo, isUdp);
		done(size);
		number += 1;
	}
	return true;
}
