import { existsSync } from "node:fs";
import { join } from "node:path";
import { expect, it } from "vitest";
import longerTests from "./longer-tests.json" with { type: "json" };

it("every file of the longer tier is there: a renamed one would be run by nobody", () => {
	expect(longerTests.filter((file) => !existsSync(join(import.meta.dirname, "..", file)))).toEqual([]);
});
