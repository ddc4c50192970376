import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { expect, it } from "vitest";

const thrower = join(import.meta.dirname, "poll-process.testing.ts");

it("what is thrown when a descriptor can be read ends the process by name, and is not swallowed", (context) => {
	context.skip(process.platform === "win32", "it has no such descriptors");
	const { status, stderr } = spawnSync(process.execPath, [thrower], { input: "a line\n", encoding: "utf8" });
	expect(stderr).toContain("Error: thrown while it was read");
	expect(status).toBe(1);
});
