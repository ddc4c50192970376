import { expect, test } from "vitest";
import { agoOf, bytesOf, millisecondsOf, spanOf } from "./time.ts";

test.each([
	[0, "just now"],
	[42_000, "42 s ago"],
	[65_000, "1 min ago"],
	[3 * 3_600_000, "3 h ago"],
	[2 * 86_400_000, "2 d ago"],
	[-5000, "just now"],
])("%i ms back is %s", (back, words) => {
	expect(agoOf(1e12 - back, 1e12)).toBe(words);
});

test("spans, round trips and sizes are short", () => {
	expect([38_000, 720_000, 12_000_000, 172_800_000].map(spanOf)).toEqual(["38 s", "12 min", "3 h 20 min", "2 d"]);
	expect([0.42, 3.4, 41].map(millisecondsOf)).toEqual(["0.4 ms", "3 ms", "41 ms"]);
	expect([12, 1500, 88_400_000, 1.5e12].map(bytesOf)).toEqual(["12 B", "1.5 KB", "88.4 MB", "1.5 TB"]);
});
