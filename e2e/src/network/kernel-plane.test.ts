import { join } from "node:path";
import { missingForGuest, runInGuest } from "@warren/testkit";
import { describe, expect, it } from "vitest";

const scenes = 7;

describe("joiners on the kernel's own WireGuard", () => {
	it("do what they do on the others, and go on when the clock is set hours ahead and back", {
		timeout: 3_600_000,
	}, async (context) => {
		context.skip(process.env["WARREN_LONG_TESTS"] !== "1", "a machine is emulated; WARREN_LONG_TESTS=1 runs it");
		const lacks = missingForGuest(["wg"]);
		context.skip(lacks !== null, lacks ?? "");
		const lines = await runInGuest({
			script: join(import.meta.dirname, "kernel-plane-process.testing.ts"),
			packages: ["apps/warren", "e2e"],
			programs: ["wg"],
		});
		const told = lines.flatMap((line) =>
			line.startsWith("scene: ") ? [JSON.parse(line.slice(7)) as { title: string; fault: string | null }] : [],
		);
		expect(told.filter(({ fault }) => fault !== null)).toEqual([]);
		expect(told.length).toBe(scenes);
	});
});
