import { describe, expect, it } from "vitest";
import { ChangeReports } from "./change-reports.ts";

describe("what is told of a peer that changes", () => {
	const [one, two] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)];

	it("L5 is one word at a time, however often it moves, and one more once that was taken", () => {
		const told: Uint8Array[] = [];
		const reports = new ChangeReports((key) => told.push(key));
		for (let each = 0; each < 100_000; each++) reports.changed(one);
		reports.changed(two);
		expect(told).toEqual([one, two]);
		reports.taken(one);
		expect(told).toEqual([one, two, one]);
		reports.taken(one);
		reports.taken(two);
		expect(told.length).toBe(3);
		reports.changed(two);
		expect(told.at(-1)).toBe(two);
	});

	it("L5 is not lost where it is taken while it is told", () => {
		let told = 0;
		const reports = new ChangeReports((key) => {
			told += 1;
			reports.taken(key);
		});
		for (let each = 0; each < 3; each++) reports.changed(one);
		expect(told).toBe(3);
	});
});
