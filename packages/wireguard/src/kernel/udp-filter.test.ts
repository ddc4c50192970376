import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { checksumV4 } from "./other-datagrams.ts";
import { udpFilter } from "./udp-filter.ts";

const port = 51820;

/** The few instructions of classic BPF that the filter has, as the kernel carries them out. */
function accepts(program: Uint8Array, packet: Uint8Array): boolean {
	const code = new DataView(program.buffer);
	const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
	let [accumulator, index] = [0, 0];
	for (let at = 0; at < program.length / 8; at++) {
		const [operation, isTrue, isFalse] = [code.getUint16(at * 8, true), program[at * 8 + 2]!, program[at * 8 + 3]!];
		const constant = code.getUint32(at * 8 + 4, true);
		try {
			if (operation === 0xb1) index = (view.getUint8(constant) & 15) * 4;
			else if (operation === 0x28) accumulator = view.getUint16(constant);
			else if (operation === 0x20) accumulator = view.getUint32(constant);
			else if (operation === 0x48) accumulator = view.getUint16(index + constant);
			else if (operation === 0x40) accumulator = view.getUint32(index + constant);
			else if (operation === 0x15) at += accumulator === constant ? isTrue : isFalse;
			else if (operation === 0x06) return constant > 0;
			else throw new Error(`instruction ${operation}`);
		} catch (failure) {
			// Beyond the packet: it is refused.
			if (failure instanceof RangeError) return false;
			throw failure;
		}
	}
	throw new Error("the program fell off its end");
}

function datagram(version: 4 | 6, to: number, payload: Uint8Array, headerWords = 5): Uint8Array {
	const ip = version === 4 ? headerWords * 4 : 0;
	const bytes = new Uint8Array(ip + 8 + payload.length);
	if (version === 4) bytes[0] = 0x40 | headerWords;
	new DataView(bytes.buffer).setUint16(ip + 2, to);
	bytes.set(payload, ip + 8);
	return bytes;
}

describe.each([4, 6] as const)("the filter of a raw socket of v%i", (version) => {
	const program = udpFilter(version, port);

	it("lets through STUN, probes and short datagrams of the port, and nothing of another", () => {
		expect(accepts(program, datagram(version, port, Buffer.from("000100002112a442", "hex")))).toBe(true);
		expect(accepts(program, datagram(version, port, Buffer.from("57505242", "hex")))).toBe(true);
		expect(accepts(program, datagram(version, port + 1, Buffer.from("000100002112a442", "hex")))).toBe(false);
		expect(accepts(program, datagram(version, port, Uint8Array.of(1, 2, 3)))).toBe(false);
	});

	it("lets through what no WireGuard message begins as, and refuses the four that do", () => {
		for (const type of [1, 2, 3, 4])
			expect(accepts(program, datagram(version, port, Uint8Array.of(type, 0, 0, 0, 9)))).toBe(false);
		fc.assert(
			fc.property(fc.uint8Array({ minLength: 4, maxLength: 60 }), fc.integer({ min: 5, max: 15 }), (payload, words) => {
				const isWireguard =
					payload[0]! >= 1 && payload[0]! <= 4 && payload[1] === 0 && payload[2] === 0 && payload[3] === 0;
				expect(accepts(program, datagram(version, port, payload, words))).toBe(!isWireguard);
			}),
		);
	});
});

describe("a checksum of UDP over v4", () => {
	it("is the one of RFC 768, odd lengths too", () => {
		// 192.0.2.1:51820 to 192.0.2.2:3478 with "abc": the sum over all, with the checksum in, is all ones.
		fc.assert(
			fc.property(
				fc.uint8Array({ maxLength: 64 }),
				fc.uint8Array({ minLength: 8, maxLength: 8 }),
				(payload, addresses) => {
					const bytes = new Uint8Array(8 + payload.length);
					bytes.set([0xca, 0x6c, 0x0d, 0x96, 0, bytes.length], 0);
					bytes.set(payload, 8);
					const checksum = checksumV4(addresses.subarray(0, 4), addresses.subarray(4), bytes);
					expect(checksum).toBeGreaterThan(0);
					new DataView(bytes.buffer).setUint16(6, checksum);
					let sum = 17 + bytes.length;
					for (const part of [addresses, bytes])
						for (let at = 0; at < part.length; at += 2) sum += (part[at]! << 8) | (part[at + 1] ?? 0);
					while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
					expect(sum).toBe(0xffff);
				},
			),
		);
	});
});
