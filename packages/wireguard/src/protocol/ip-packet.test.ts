import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { newFacts, packetLength, protocolUdp, readFacts, udpSourcePort } from "./ip-packet.ts";

const header = fc.oneof(
	fc.record({ version: fc.constant(4), protocol: fc.constantFrom(6, 17, 1), fragment: fc.integer({ min: 0, max: 2 }) }),
	fc.record({
		version: fc.constant(6),
		protocol: fc.constantFrom(6, 17, 44),
		fragment: fc.integer({ min: 0, max: 2 }),
	}),
);

/** A packet that says its own length, the rest of it anything. */
function packet(
	bytes: Uint8Array,
	{ version, protocol, fragment }: { version: number; protocol: number; fragment: number },
) {
	const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
	if (version === 4) {
		bytes[0] = 0x40 | Math.max(5, (bytes[0] as number) & 15);
		view.setUint16(2, bytes.length);
		view.setUint16(6, fragment);
		bytes[9] = protocol;
	} else {
		bytes[0] = 0x60;
		view.setUint16(4, bytes.length - 40);
		bytes[6] = protocol;
		if (protocol === 44 && bytes.length >= 48) {
			bytes[40] = protocolUdp;
			view.setUint16(42, fragment << 3);
		}
	}
	return bytes;
}

describe("the source port of a datagram", () => {
	it("S8 is the one that rules read, for whatever packet, and looks nowhere beyond it", () => {
		const facts = newFacts();
		let found = 0;
		fc.assert(
			fc.property(fc.uint8Array({ minLength: 40, maxLength: 96 }), header, (random, shape) => {
				const bytes = packet(Uint8Array.from(random), shape);
				const length = packetLength(bytes, 0, bytes.length);
				fc.pre(length === bytes.length);
				readFacts(bytes, 0, length, facts);
				const port = udpSourcePort(bytes, 0, length);
				if (port < 0) return;
				found += 1;
				expect([facts.protocol, facts.isLaterFragment, facts.sourcePort]).toEqual([protocolUdp, false, port]);
			}),
			{ numRuns: 3_000 },
		);
		expect(found).toBeGreaterThan(300);
	});

	it.each([
		["v4", [0x45, 0, 0, 28, 0, 0, 0, 0, 64, 17, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2, 0xca, 0x6c, 0, 9, 0, 8, 0, 0], 51_820],
		["v4, a later fragment", [0x45, 0, 0, 28, 0, 0, 0, 5, 64, 17, ...Array.from({ length: 18 }, () => 0xca)], -1],
		[
			"v4, cut before its header ends",
			[0x45, 0, 0, 24, 0, 0, 0, 0, 64, 17, ...Array.from({ length: 14 }, () => 0xca)],
			-1,
		],
		["v4, TCP", [0x45, 0, 0, 40, 0, 0, 0, 0, 64, 6, ...Array.from({ length: 30 }, () => 0xca)], -1],
	] as const)("S8 %s", (_title, bytes, port) => {
		expect(udpSourcePort(Uint8Array.from(bytes), 0, bytes.length)).toBe(port);
	});
});
