import { expect, test } from "vitest";
import { skewOf } from "./version.ts";

test.each([
	["0.1.0", "0.1.0", "same"],
	["0.1.9", "0.1.0", "same"],
	["0.0.9", "0.1.0", "older"],
	["0.9.0", "1.0.0", "older"],
	["0.10.0", "0.9.3", "newer"],
	["v0.1.0-rc.1", "0.1.0", "same"],
	["mobux", "0.1.0", "unknown"],
	[undefined, "0.1.0", "unknown"],
])("a machine of %s to a page of %s is %s", (machine, page, skew) => {
	expect(skewOf(machine, page)).toBe(skew);
});
