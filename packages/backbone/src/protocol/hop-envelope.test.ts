import { describe, expect, it } from "vitest";
import { deriveHopKey, type HopEnvelope, hopProof, isHopProof, openHop, signHop } from "./hop-envelope.ts";

const key = deriveHopKey("a-master-secret-of-tests-and-of-nothing-else");
const envelope: HopEnvelope = {
	hop: 1,
	from: "a",
	to: "b",
	epoch: 7,
	service: "web",
	nonce: "n",
	challenge: "c",
};

describe("an envelope between nodes", () => {
	it("N1: opens with the cluster's key alone, and says what was signed", () => {
		const text = signHop(key, envelope);
		expect(openHop(key, text)).toEqual(envelope);
		expect(openHop(deriveHopKey("another"), text)).toBeNull();
	});

	it("N1: changed in any place it is nobody's", () => {
		const text = signHop(key, envelope);
		for (let at = 0; at < text.length; at++) {
			const other = text[at] === "A" ? "B" : "A";
			expect(openHop(key, text.slice(0, at) + other + text.slice(at + 1)), `at ${at}`).toBeNull();
		}
		for (const wrong of ["", ".", "a.b.c", `${text}.x`, text.split(".")[0] as string, "x".repeat(5000)])
			expect(openHop(key, wrong)).toBeNull();
	});

	it("N1: says hop 1 or nothing", () => {
		expect(openHop(key, signHop(key, { ...envelope, hop: 2 } as never))).toBeNull();
	});

	it("N2: the answer's proof is no envelope's signature, and for its own nonce", () => {
		expect(isHopProof(key, "n", hopProof(key, "n"))).toBe(true);
		expect(isHopProof(key, "m", hopProof(key, "n"))).toBe(false);
		expect(isHopProof(key, "n", signHop(key, envelope).split(".")[1] as string)).toBe(false);
	});
});
