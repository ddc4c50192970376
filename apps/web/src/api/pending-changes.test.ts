import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { PendingChanges } from "./pending-changes.ts";

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

it("shows what takes long until all of it is settled, failures too, and nothing that is quick", async () => {
	const changes = new PendingChanges();
	const seen: boolean[] = [];
	const stop = changes.watch(() => seen.push(changes.isLate()));
	await changes.follow(Promise.resolve());
	await vi.advanceTimersByTimeAsync(5_000);
	expect(seen).toEqual([]);

	const [first, second] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
	const following = [changes.follow(first.promise), changes.follow(second.promise)];
	await vi.advanceTimersByTimeAsync(699);
	expect(changes.isLate()).toBe(false);
	await vi.advanceTimersByTimeAsync(1);
	expect(changes.isLate()).toBe(true);
	first.resolve();
	await following[0];
	expect(changes.isLate()).toBe(true);
	second.reject(new Error("no"));
	await expect(following[1]).rejects.toThrow("no");
	expect(seen).toEqual([true, false]);
	stop();
	expect(vi.getTimerCount()).toBe(0);
});
