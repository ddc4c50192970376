import { expect, it } from "vitest";
import { systemClock } from "./clock.ts";

it("a wait that is longer than the runtime's timers is a long one, and not none", async () => {
	const over: number[] = [];
	const timers = [2 ** 31, Number.POSITIVE_INFINITY].map((ms) => systemClock.after(ms, () => over.push(ms)));
	// Timers end in the order of their waits: those would have ended before this one.
	await new Promise<void>((resolve) => systemClock.after(5, resolve));
	expect(over).toEqual([]);
	for (const timer of timers) timer.cancel();
});
