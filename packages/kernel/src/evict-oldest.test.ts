import { describe, expect, it } from "vitest";
import { evictOldest } from "./evict-oldest.ts";

const filled = (count: number) => new Map(Array.from({ length: count }, (_, index) => [index, index]));

describe("evictOldest", () => {
	it("leaves what is within the bound", () => {
		const map = filled(16);
		evictOldest(map, 16);
		expect(map.size).toBe(16);
	});

	it("takes the oldest sixteenth with the one too many, so that each costs little", () => {
		const map = filled(17);
		evictOldest(map, 16);
		expect([...map.keys()]).toEqual([2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16]);
	});

	it("takes only the one too many of a small map", () => {
		const map = filled(3);
		evictOldest(map, 2);
		expect([...map.keys()]).toEqual([1, 2]);
	});
});
