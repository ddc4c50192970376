import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { MemoryTrim } from "./memory-trim.ts";

describe("memory that a burst left behind", () => {
	it("is given back once the process rests, and not again until there is more", async () => {
		const clock = new VirtualClock();
		const process = { bytes: 100e6, busy: 0.9, trims: 0 };
		const trim = new MemoryTrim({
			clock,
			residentBytes: () => process.bytes,
			busyShare: () => process.busy,
			trim: () => {
				process.trims += 1;
				process.bytes = 60e6;
			},
		});
		await clock.advance(300_000);
		expect(process.trims).toBe(0);
		process.busy = 0.1;
		await clock.advance(30_000);
		expect(process.trims).toBe(1);
		process.bytes = 70e6;
		await clock.advance(300_000);
		expect(process.trims).toBe(1);
		process.bytes = 90e6;
		await clock.advance(30_000);
		expect(process.trims).toBe(2);
		trim.close();
		process.bytes = 200e6;
		await clock.advance(300_000);
		expect(process.trims).toBe(2);
		expect(clock.pending).toBe(0);
	});

	it("goes through the C library where that can", async ({ skip }) => {
		const clock = new VirtualClock();
		const trim = MemoryTrim.start(clock);
		skip(trim === null, "this C library has no malloc_trim");
		await clock.advance(30_000);
		expect(clock.pending).toBe(1);
		trim?.close();
	});
});
