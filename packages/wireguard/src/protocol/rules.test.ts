import type { OverlayRule } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import { parseCidr } from "./cidr.ts";
import { limits } from "./constants.ts";
import { newFacts, type PacketFacts, readFacts } from "./ip-packet.ts";
import { Rules } from "./rules.ts";

const own = "fd5a::1";
const far = "fd5a::2";

interface Shape {
	readonly protocol?: number;
	readonly ports?: readonly [number, number];
	/** Of a fragment, in units of eight bytes. */
	readonly fragment?: number;
}

function facts(from: string, to: string, { protocol = 17, ports = [1000, 53], fragment }: Shape = {}): PacketFacts {
	const extension = fragment === undefined ? 0 : 8;
	const packet = new Uint8Array(40 + extension + 8);
	const view = new DataView(packet.buffer);
	packet[0] = 0x60;
	packet[6] = fragment === undefined ? protocol : 44;
	for (const [at, address] of [
		[8, from],
		[24, to],
	] as const)
		parseCidr(address)!.words.forEach((word, each) => {
			view.setUint32(at + each * 4, word);
		});
	if (fragment !== undefined) {
		packet[40] = protocol;
		view.setUint16(42, fragment * 8);
	}
	view.setUint16(40 + extension, ports[0]);
	view.setUint16(42 + extension, ports[1]);
	const read = newFacts();
	readFacts(packet, 0, packet.length, read);
	return read;
}

const mayAsk: OverlayRule = { direction: "out", addresses: [`${far}/128`], protocol: "udp", ports: [[53, 53]] };

describe("rules", () => {
	it("F1 let in what answers, for as long as a flow is remembered, and nothing else", () => {
		const rules = new Rules([mayAsk]);
		const answer = facts(far, own, { ports: [53, 1000] });
		expect(rules.permits("in", answer, 0)).toBe(false);
		expect(rules.permits("out", facts(own, far), 0)).toBe(true);
		expect(rules.permits("in", answer, limits.otherFlowMs - 1)).toBe(true);
		expect(rules.permits("in", facts(far, own, { ports: [53, 1001] }), 1)).toBe(false);
		expect(rules.permits("in", facts("fd5a::3", own, { ports: [53, 1000] }), 1)).toBe(false);
		expect(rules.permits("out", facts(own, far, { ports: [1000, 54] }), 1)).toBe(false);
		expect(rules.permits("in", answer, 3 * limits.otherFlowMs)).toBe(false);
	});

	it("F2 let later fragments pass by address and protocol, those of an answer too", () => {
		const rules = new Rules([mayAsk]);
		expect(rules.permits("out", facts(own, far, { fragment: 185 }), 0)).toBe(true);
		expect(rules.permits("in", facts(far, own, { fragment: 185 }), 0)).toBe(true);
		expect(rules.permits("in", facts(far, own, { fragment: 185, protocol: 6 }), 0)).toBe(false);
		expect(rules.permits("in", facts("fd5a::3", own, { fragment: 185 }), 0)).toBe(false);
		// The first one has the ports, and is judged by them.
		expect(rules.permits("in", facts(far, own, { fragment: 0, ports: [54, 1000] }), 0)).toBe(false);
	});

	it("F3 refuse everything when there are none", () => {
		const rules = new Rules([]);
		for (const direction of ["in", "out"] as const) expect(rules.permits(direction, facts(own, far), 0)).toBe(false);
	});
});
