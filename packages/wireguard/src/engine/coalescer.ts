import { protocolTcp, putU16, u16, u32 } from "../protocol/ip-packet.ts";
import { type Arena, maxPacketBytes, virtioHeaderBytes } from "./arena.ts";
import { fold, pseudoSum, writeIpChecksum, writePartial } from "./checksum.ts";
import type { TunIo } from "./packet-io.ts";
import { segmentationOf } from "./segments.ts";

const acknowledge = 0x10;
const push = 0x08;
/** Flows joined at once; one more ends the oldest. */
const maxGroups = 16;
const maxPieces = 128;

interface Group {
	/** Of the first packet. */
	at: number;
	isV4: boolean;
	ipBytes: number;
	tcpBytes: number;
	/** Payload of every packet but the last. */
	segment: number;
	nextSequence: number;
	payload: number;
	/** A shorter packet or one that pushes ends it. */
	isClosed: boolean;
	count: number;
	/** Offset and length, the first with virtio and all headers. */
	pieces: number[];
}

/**
 * Joins TCP packets that follow each other into the super-packets that the kernel takes whole (the reverse of `segment`).
 * Packets of a flow keep their order; nothing waits beyond `flush`. Payloads are not copied: the kernel gathers them.
 */
export class Coalescer {
	readonly #arena: Arena;
	readonly #tun: TunIo;
	#groups: Group[] = [];

	constructor(arena: Arena, tun: TunIo) {
		this.#arena = arena;
		this.#tun = tun;
	}

	/** Takes a packet at `at`, which has at least a virtio header's room before it that may be written over. */
	add(at: number, length: number): void {
		const { bytes } = this.#arena;
		const isV4 = (bytes[at] as number) >>> 4 === 4;
		const ipBytes = isV4 ? 20 : 40;
		const tcp = at + ipBytes;
		const protocol = bytes[at + (isV4 ? 9 : 6)] as number;
		if (protocol !== protocolTcp || length < ipBytes + 20) return this.#writeAlone(at, length);
		const own = this.#groupOf(at, isV4, ipBytes);
		const tcpBytes = ((bytes[tcp + 12] as number) >>> 4) * 4;
		const flags = bytes[tcp + 13] as number;
		const payload = length - ipBytes - tcpBytes;
		const isPlain =
			(!isV4 || ((bytes[at] as number) === 0x45 && (u16(bytes, at + 6) & 0x3fff) === 0)) &&
			tcpBytes >= 20 &&
			payload > 0 &&
			(flags & ~push) === acknowledge &&
			this.#isIntact(at, length, isV4, ipBytes);
		if (!isPlain) {
			if (own !== undefined) this.#write(own);
			return this.#writeAlone(at, length);
		}
		if (own !== undefined) {
			if (this.#joins(own, at, isV4, ipBytes, tcpBytes, payload)) {
				own.pieces.push(tcp + tcpBytes, payload);
				own.payload += payload;
				own.count += 1;
				own.nextSequence = (own.nextSequence + payload) >>> 0;
				if (payload < own.segment || (flags & push) !== 0) own.isClosed = true;
				if ((flags & push) !== 0) bytes[own.at + ipBytes + 13] = flags;
				return;
			}
			this.#write(own);
		}
		if (this.#groups.length >= maxGroups) this.#write(this.#groups[0] as Group);
		this.#groups.push({
			at,
			isV4,
			ipBytes,
			tcpBytes,
			segment: payload,
			nextSequence: (u32(bytes, tcp + 4) + payload) >>> 0,
			payload,
			isClosed: (flags & push) !== 0,
			count: 1,
			pieces: [at - virtioHeaderBytes, virtioHeaderBytes + length],
		});
	}

	/** Writes what was joined. */
	flush(): void {
		const groups = this.#groups;
		this.#groups = [];
		for (const group of groups) this.#writeGroup(group);
	}

	#groupOf(at: number, isV4: boolean, ipBytes: number): Group | undefined {
		const { bytes } = this.#arena;
		for (const group of this.#groups) {
			if (group.isV4 !== isV4) continue;
			let same = true;
			const from = isV4 ? 12 : 8;
			// Addresses, then ports: they lie one after the other.
			for (let each = from; each < ipBytes + 4; each++)
				if (bytes[group.at + each] !== bytes[at + each]) {
					same = false;
					break;
				}
			if (same) return group;
		}
		return undefined;
	}

	#joins(group: Group, at: number, isV4: boolean, ipBytes: number, tcpBytes: number, payload: number): boolean {
		const { bytes } = this.#arena;
		const tcp = at + ipBytes;
		const first = group.at + ipBytes;
		if (
			group.isClosed ||
			tcpBytes !== group.tcpBytes ||
			payload > group.segment ||
			group.pieces.length >= maxPieces ||
			ipBytes + tcpBytes + group.payload + payload > maxPacketBytes ||
			u32(bytes, tcp + 4) !== group.nextSequence ||
			u32(bytes, tcp + 8) !== u32(bytes, first + 8) ||
			u16(bytes, tcp + 14) !== u16(bytes, first + 14)
		)
			return false;
		if (isV4) {
			// Type of service, don't-fragment, time to live; the identification is the kernel's to count up.
			if (
				bytes[at + 1] !== bytes[group.at + 1] ||
				bytes[at + 6] !== bytes[group.at + 6] ||
				bytes[at + 8] !== bytes[group.at + 8]
			)
				return false;
		} else if (u32(bytes, at) !== u32(bytes, group.at) || bytes[at + 7] !== bytes[group.at + 7]) return false;
		for (let option = 20; option < tcpBytes; option++) if (bytes[tcp + option] !== bytes[first + option]) return false;
		return true;
	}

	/** A joined packet's checksum is made anew, so what a damaged one said must not be lost with it. */
	#isIntact(at: number, length: number, isV4: boolean, ipBytes: number): boolean {
		const segment = length - ipBytes;
		const pseudo = pseudoSum(this.#arena, at, isV4, protocolTcp, segment);
		return fold(this.#arena.sum(at + ipBytes, segment) + pseudo) === 0xffff;
	}

	#write(group: Group): void {
		this.#groups.splice(this.#groups.indexOf(group), 1);
		this.#writeGroup(group);
	}

	#writeGroup(group: Group): void {
		const { bytes, view } = this.#arena;
		const header = group.at - virtioHeaderBytes;
		if (group.count === 1) return this.#writeAlone(group.at, group.ipBytes + group.tcpBytes + group.payload);
		const total = group.ipBytes + group.tcpBytes + group.payload;
		if (group.isV4) {
			putU16(bytes, group.at + 2, total);
			writeIpChecksum(this.#arena, group.at);
		} else putU16(bytes, group.at + 4, total - 40);
		const pseudo = pseudoSum(this.#arena, group.at, group.isV4, protocolTcp, total - group.ipBytes);
		writePartial(this.#arena, group.at + group.ipBytes + 16, pseudo);
		bytes[header] = 1;
		bytes[header + 1] = group.isV4 ? segmentationOf.tcp4 : segmentationOf.tcp6;
		view.setUint16(header + 2, group.ipBytes + group.tcpBytes, true);
		view.setUint16(header + 4, group.segment, true);
		view.setUint16(header + 6, group.ipBytes, true);
		view.setUint16(header + 8, 16, true);
		this.#tun.writePieces(group.pieces);
	}

	#writeAlone(at: number, length: number): void {
		const header = at - virtioHeaderBytes;
		this.#arena.bytes.fill(0, header, at);
		this.#tun.write(header, virtioHeaderBytes + length);
	}
}
