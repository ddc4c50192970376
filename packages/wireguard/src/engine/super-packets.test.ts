import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { protocolTcp, protocolUdp, putU16, putU32, u16 } from "../protocol/ip-packet.ts";
import { type Arena, newArena, regions, virtioHeaderBytes } from "./arena.ts";
import { pseudoSum } from "./checksum.ts";
import { Coalescer } from "./coalescer.ts";
import { completeChecksum, type Offload, segment, segmentationOf } from "./segments.ts";

/** RFC 1071, byte by byte. */
function plainSum(bytes: Uint8Array, from: number, to: number, initial = 0): number {
	let sum = initial;
	for (let at = from; at < to; at += 2) sum += ((bytes[at] ?? 0) << 8) | (at + 1 < to ? (bytes[at + 1] ?? 0) : 0);
	while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
	return sum;
}

/** Whether a packet's IP and transport checksums are right, judged independently. */
function isIntact(packet: Uint8Array): boolean {
	const isV4 = (packet[0] as number) >>> 4 === 4;
	const ip = isV4 ? 20 : 40;
	const protocol = packet[isV4 ? 9 : 6] as number;
	if (isV4 && plainSum(packet, 0, 20) !== 0xffff) return false;
	const pseudo = plainSum(packet, isV4 ? 12 : 8, ip, protocol + packet.length - ip);
	return plainSum(packet, ip, packet.length, pseudo) === 0xffff;
}

interface Shape {
	readonly isV4: boolean;
	readonly isUdp: boolean;
	readonly payload: number;
	readonly segmentBytes: number;
	readonly sequence: number;
	readonly hasTimestamps: boolean;
}

/** A super-packet as the kernel hands it over: its checksum is the pseudo header's sum alone. */
function superPacket(
	arena: Arena,
	at: number,
	shape: Shape,
): { length: number; offload: Offload; payload: Uint8Array } {
	const { isV4, isUdp, payload: bytes, segmentBytes } = shape;
	const ip = isV4 ? 20 : 40;
	const header = ip + (isUdp ? 8 : shape.hasTimestamps ? 32 : 20);
	const packet = new Uint8Array(header + bytes);
	const protocol = isUdp ? protocolUdp : protocolTcp;
	if (isV4) {
		packet.set([0x45, 0, 0, 0, 0xff, 0xfe, 0x40, 0, 64, protocol, 0, 0, 10, 9, 0, 1, 10, 9, 0, 2]);
		putU16(packet, 2, Math.min(packet.length, 0xffff));
	} else {
		packet.set([0x60, 0, 0, 0, 0, 0, protocol, 64]);
		putU16(packet, 4, Math.min(packet.length - 40, 0xffff));
		packet[8] = packet[24] = 0xfd;
		packet[39] = 2;
	}
	putU16(packet, ip, 1234);
	putU16(packet, ip + 2, 5201);
	if (isUdp) putU16(packet, ip + 4, 8 + bytes);
	else {
		putU32(packet, ip + 4, shape.sequence);
		putU32(packet, ip + 8, 77);
		packet[ip + 12] = shape.hasTimestamps ? 0x80 : 0x50;
		packet[ip + 13] = 0x18;
		putU16(packet, ip + 14, 502);
		if (shape.hasTimestamps) packet.set([1, 1, 8, 10, 1, 2, 3, 4, 5, 6, 7, 8], ip + 20);
	}
	for (let each = 0; each < bytes; each++) packet[header + each] = (each * 7 + (each >> 8)) & 255;
	arena.bytes.set(packet, at);
	const pseudo = pseudoSum(arena, at, isV4, protocol, packet.length - ip);
	const field = at + ip + (isUdp ? 6 : 16);
	arena.bytes[field] = pseudo & 255;
	arena.bytes[field + 1] = pseudo >>> 8;
	return {
		length: packet.length,
		payload: packet.slice(header),
		offload: {
			needsChecksum: true,
			segmentation: isUdp ? segmentationOf.udp : isV4 ? segmentationOf.tcp4 : segmentationOf.tcp6,
			headerBytes: header,
			segmentBytes,
			checksumStart: ip,
			checksumOffset: isUdp ? 6 : 16,
		},
	};
}

function cut(arena: Arena, at: number, length: number, offload: Offload): Uint8Array[] | null {
	const packets: Uint8Array[] = [];
	const to = regions.train.at;
	const place = () => to;
	const ok = segment(arena, at, length, offload, place, (bytes) => packets.push(arena.bytes.slice(to, to + bytes)));
	return ok ? packets : null;
}

/** Runs packets through a coalescer as one read of the socket would bring them, and gives what the TUN is written. */
function join(arena: Arena, packets: readonly Uint8Array[]): Uint8Array[] {
	const written: Uint8Array[] = [];
	const coalescer = new Coalescer(arena, {
		hasOffload: true,
		write: (offset, length) => void written.push(arena.bytes.slice(offset, offset + length)),
		writePieces: (pieces) => {
			const parts: Uint8Array[] = [];
			for (let at = 0; at < pieces.length; at += 2)
				parts.push(arena.bytes.slice(pieces[at], (pieces[at] as number) + (pieces[at + 1] as number)));
			written.push(Buffer.concat(parts));
		},
	});
	let at: number = regions.received.at;
	for (const packet of packets) {
		arena.bytes.set(packet, at + 16);
		coalescer.add(at + 16, packet.length);
		at += packet.length + 32;
	}
	coalescer.flush();
	return written;
}

const shapes = fc.record({
	isV4: fc.boolean(),
	isUdp: fc.boolean(),
	payload: fc.integer({ min: 1, max: 40_000 }),
	segmentBytes: fc.integer({ min: 650, max: 1400 }),
	sequence: fc.integer({ min: 0, max: 0xffff_ffff }),
	hasTimestamps: fc.boolean(),
});

describe("super-packets", () => {
	it("are cut into intact packets that carry every byte once, in order", () => {
		const arena = newArena();
		fc.assert(
			fc.property(shapes, (shape) => {
				const { length, offload, payload } = superPacket(arena, regions.tun.at + 10, shape);
				const packets = cut(arena, regions.tun.at + 10, length, offload)!;
				expect(packets).toHaveLength(Math.ceil(payload.length / shape.segmentBytes));
				expect(packets.every((packet) => isIntact(packet))).toBe(true);
				expect(Buffer.concat(packets.map((packet) => packet.subarray(offload.headerBytes)))).toEqual(
					Buffer.from(payload),
				);
				if (!shape.isUdp)
					expect(packets.map((packet) => (packet[offload.checksumStart + 13] as number) & 8)).toEqual(
						packets.map((_, at) => (at === packets.length - 1 ? 8 : 0)),
					);
			}),
			{ numRuns: 200 },
		);
	});

	it("come back whole from their packets, with the header that the kernel needs to cut them again", () => {
		const arena = newArena();
		fc.assert(
			fc.property(shapes, (shape) => {
				const tcp = { ...shape, isUdp: false };
				const { length, offload, payload } = superPacket(arena, regions.tun.at + 10, tcp);
				const packets = cut(arena, regions.tun.at + 10, length, offload)!;
				const written = join(arena, packets);
				expect(written).toHaveLength(1);
				const [joined] = written as [Uint8Array];
				expect(joined.length).toBe(virtioHeaderBytes + length);
				expect(Buffer.from(joined.subarray(virtioHeaderBytes + offload.headerBytes))).toEqual(Buffer.from(payload));
				if (packets.length === 1) return;
				expect([...joined.subarray(0, 2)]).toEqual([1, tcp.isV4 ? 1 : 4]);
				expect(u16(joined, virtioHeaderBytes + (tcp.isV4 ? 2 : 4))).toBe(tcp.isV4 ? length : length - 40);
				// Cut again from what was written, they are the same packets.
				arena.bytes.set(joined.subarray(virtioHeaderBytes), regions.tun.at + 10);
				const again = cut(arena, regions.tun.at + 10, length, { ...offload, segmentBytes: tcp.segmentBytes })!;
				expect(again.map((each) => Buffer.from(each).toString("hex"))).toEqual(
					packets.map((each) => Buffer.from(each).toString("hex")),
				);
			}),
			{ numRuns: 100 },
		);
	});

	it("are not made of packets that do not follow each other, are damaged, or say something", () => {
		const arena = newArena();
		const shape: Shape = {
			isV4: true,
			isUdp: false,
			payload: 4000,
			segmentBytes: 1000,
			sequence: 1,
			hasTimestamps: true,
		};
		const { length, offload } = superPacket(arena, regions.tun.at + 10, shape);
		const [first, second, third, fourth] = cut(arena, regions.tun.at + 10, length, offload) as [
			Uint8Array,
			Uint8Array,
			Uint8Array,
			Uint8Array,
		];
		expect(join(arena, [first, third])).toHaveLength(2);
		expect(join(arena, [second, first])).toHaveLength(2);
		const damaged = Uint8Array.from(second);
		damaged[60] = (damaged[60] as number) ^ 1;
		const written = join(arena, [first, damaged, third]);
		expect(written).toHaveLength(3);
		// The kernel judges the damaged one itself: its checksum stays as it came, and nothing says that it is right.
		expect([...(written[1] as Uint8Array).subarray(0, 10)]).toEqual(Array.from({ length: 10 }, () => 0));
		expect(Buffer.from((written[1] as Uint8Array).subarray(10))).toEqual(Buffer.from(damaged));
		const fin = Uint8Array.from(fourth);
		fin[33] = (fin[33] as number) | 1;
		expect(join(arena, [third, fin])).toHaveLength(2);
		// A pushed one ends what it joins.
		expect(join(arena, [third, fourth, first])).toHaveLength(2);
	});

	it("with headers that contradict each other are refused whole", () => {
		const arena = newArena();
		const shape: Shape = {
			isV4: true,
			isUdp: false,
			payload: 4000,
			segmentBytes: 1000,
			sequence: 1,
			hasTimestamps: false,
		};
		const { length, offload } = superPacket(arena, regions.tun.at + 10, shape);
		const at = regions.tun.at + 10;
		expect(cut(arena, at, length, { ...offload, segmentBytes: 0 })).toBeNull();
		expect(cut(arena, at, length, { ...offload, checksumStart: length })).toBeNull();
		expect(cut(arena, at, length, { ...offload, checksumStart: 4 })).toBeNull();
		expect(completeChecksum(arena, at, length, { ...offload, checksumOffset: length })).toBe(false);
		expect(completeChecksum(arena, at, length, { ...offload, checksumStart: 0 })).toBe(false);
	});

	it("sum as RFC 1071 does, at any place and length", () => {
		const arena = newArena();
		for (let at = 0; at < arena.bytes.length; at++) arena.bytes[at] = (at * 31 + (at >> 7)) & 255;
		fc.assert(
			fc.property(fc.nat({ max: 2000 }), fc.nat({ max: 65_535 }), (at, length) => {
				const sum = arena.sum(at, length);
				const big = ((sum & 255) << 8) | (sum >>> 8);
				expect(big % 0xffff).toBe(plainSum(arena.bytes, at, at + length) % 0xffff);
			}),
		);
	});
});
