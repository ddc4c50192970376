import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { meshOf, none } from "./mesh.ts";
import { RememberedIds } from "./remembered-ids.ts";
import { receiptOf, type Sending } from "./sending.ts";

const meshes = new Map(
	["a", "b", "c"].map((meshId) => [
		meshId,
		meshOf({ meshId, name: meshId, durable: false, rooms: null, allow: null, block: none }),
	]),
);

function sendingOf(meshId: string, id: string, at: number): Sending {
	const mesh = meshes.get(meshId);
	if (mesh === undefined) throw new Error(meshId);
	return {
		...{
			mesh,
			id,
			slot: -1,
			broadcast: false,
			at,
			order: 0,
			socket: 1,
			waiting: 1,
			delivered: 1,
			queued: 0,
			offline: 0,
		},
		...{ refusal: null, failed: [], receipt: null },
	};
}

/** The same by the plainest means: a list, searched from its end. */
class Oracle {
	readonly #kept: { meshId: string; id: string; at: number; sending: Sending; gone: boolean }[] = [];
	readonly #max: number;

	constructor(max: number) {
		this.#max = max;
	}

	find(meshId: string, id: string, now: number): Sending | null {
		const found = this.#kept
			.slice(-this.#max)
			.findLast((each) => !each.gone && each.meshId === meshId && each.id === id);
		if (found !== undefined && now - found.at >= forMs) found.gone = true;
		return found === undefined || found.gone ? null : found.sending;
	}

	add(sending: Sending): void {
		this.#kept.push({ meshId: sending.mesh.meshId, id: sending.id, at: sending.at, sending, gone: false });
	}

	forget(sending: Sending): void {
		for (const each of this.#kept) if (each.sending === sending) each.gone = true;
	}
}

/** They are dated to the second. */
const forMs = 50_000;
const step = fc.record({
	meshId: fc.constantFrom("a", "b", "c"),
	// All meshes count theirs from one.
	id: fc.integer({ min: 1, max: 6 }).map(String),
	passMs: fc.integer({ min: 0, max: 9 }).map((seconds) => seconds * 1000),
	fate: fc.constantFrom("open", "settled", "settled before", "forgotten"),
});

describe("remembered ids", () => {
	it("G10 are those that a list would remember: by mesh, for their time, the newest alone", () => {
		let repeated = 0;
		fc.assert(
			fc.property(fc.integer({ min: 1, max: 9 }), fc.array(step, { minLength: 30, maxLength: 90 }), (max, steps) => {
				const remembered = new RememberedIds(max, forMs, "seed");
				const oracle = new Oracle(max);
				let now = 0;
				for (const { meshId, id, passMs, fate } of steps) {
					now += passMs;
					const found = remembered.get(meshId, id, now);
					const expected = oracle.find(meshId, id, now);
					expect(found === null).toBe(expected === null);
					if (found !== null) {
						repeated += 1;
						// What was settled is told without its id.
						expect("mesh" in found ? found : found.receipt).toEqual(
							"mesh" in found ? expected : { outcome: "delivered" },
						);
						continue;
					}
					const sending = sendingOf(meshId, id, now);
					if (fate === "settled before") sending.receipt = receiptOf(sending);
					remembered.add(sending);
					oracle.add(sending);
					if (fate === "settled") {
						sending.receipt = receiptOf(sending);
						remembered.settle(sending, sending.receipt);
					} else if (fate === "forgotten") {
						remembered.forget(sending);
						oracle.forget(sending);
					}
				}
			}),
			{ numRuns: 1_000 },
		);
		expect(repeated).toBeGreaterThan(500);
	});

	it("G10 as many as there is room for, and one more", () => {
		const remembered = new RememberedIds(1_000, forMs, "seed");
		for (let each = 0; each <= 1_000; each += 1) remembered.add(sendingOf("a", `m${each}`, 0));
		expect(remembered.get("a", "m0", 0)).toBeNull();
		for (let each = 1; each <= 1_000; each += 1) expect(remembered.get("a", `m${each}`, 0)).not.toBeNull();
		expect(remembered.get("b", "m1", 0)).toBeNull();
	});
});
