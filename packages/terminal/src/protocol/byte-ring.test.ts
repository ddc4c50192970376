import fc from "fast-check";
import { expect, test } from "vitest";
import { ByteRing } from "./byte-ring.ts";

test("a ring holds exactly the newest bytes of everything that was appended", () => {
	fc.assert(
		fc.property(
			fc.integer({ min: 1, max: 40_000 }),
			fc.array(fc.uint8Array({ maxLength: 30_000 }), { maxLength: 8 }),
			(capacity, pieces) => {
				const ring = new ByteRing(capacity);
				let all = new Uint8Array(0);
				for (const piece of pieces) {
					ring.append(piece);
					all = Uint8Array.from([...all, ...piece]);
					expect(ring.end).toBe(all.length);
					expect(ring.start).toBe(Math.max(0, all.length - capacity));
					const copy = new Uint8Array(ring.end - ring.start + 1);
					ring.copy(ring.start, ring.end, copy, 1);
					expect(Buffer.compare(copy.subarray(1), all.subarray(ring.start))).toBe(0);
				}
			},
		),
		{ numRuns: 40 },
	);
});

test("bytes that are not in the ring are refused", () => {
	const ring = new ByteRing(4);
	ring.append(new Uint8Array([1, 2, 3, 4, 5]));
	expect(() => ring.copy(0, 2, new Uint8Array(2), 0)).toThrow("bytes 0 to 2 are not in the ring (1 to 5)");
	expect(() => ring.copy(4, 6, new Uint8Array(2), 0)).toThrow(RangeError);
});

test("clear forgets the bytes and keeps the numbering", () => {
	const ring = new ByteRing(4);
	ring.append(new Uint8Array([1, 2, 3]));
	ring.clear();
	expect([ring.start, ring.end]).toEqual([3, 3]);
});
