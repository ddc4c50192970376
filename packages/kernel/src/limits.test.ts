import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { Backoff } from "./backoff.ts";
import { ExpiringMap } from "./expiring-map.ts";
import { RateLimit } from "./rate-limit.ts";

describe("RateLimit", () => {
	const limits = { perSecond: 2, burst: 3, maxKeys: 2 };

	it("lets a burst through, then its rate, and says when", async () => {
		const clock = new VirtualClock();
		const limit = new RateLimit(clock, limits);
		expect([1, 2, 3].map(() => limit.take("a"))).toEqual([0, 0, 0]);
		const waitMs = limit.take("a");
		expect(waitMs).toBe(500);
		await clock.advance(waitMs - 1);
		expect(limit.take("a")).toBe(1);
		await clock.advance(1);
		expect(limit.waitMs("a")).toBe(0);
		expect(limit.take("a")).toBe(0);
		expect(limit.take("a")).toBe(500);
	});

	it("never saves up more than the burst, and keeps keys apart", async () => {
		const clock = new VirtualClock();
		const limit = new RateLimit(clock, limits);
		limit.take("a");
		await clock.advance(3_600_000);
		expect([1, 2, 3, 4].map(() => limit.take("a") === 0)).toEqual([true, true, true, false]);
		expect(limit.take("b")).toBe(0);
		limit.forgive("a");
		expect(limit.take("a")).toBe(0);
	});

	it("holds at most its number of keys, the least used going first, to the second", async () => {
		const clock = new VirtualClock();
		const limit = new RateLimit(clock, { ...limits, perSecond: 0.001 });
		for (const key of ["a", "a", "a", "b", "b", "b"]) limit.take(key);
		await clock.advance(1_000);
		limit.waitMs("a");
		limit.take("c");
		expect(limit.waitMs("a"), "used after b").toBeGreaterThan(0);
		expect(limit.waitMs("b"), "forgotten").toBe(0);
	});

	it.each([
		["2001:db8:1:2::1", "2001:db8:1:2:ffff:ffff:ffff:ffff", true],
		["2001:db8::1", "2001:db8:0:0:9::", true],
		["2001:db8::1:2:3:4:5", "2001:db8:0:1::", true],
		["2001:db8:1:2::1", "2001:db8:1:3::1", false],
		["2001:db8::1", "2001:db9::1", false],
		// A home's own addresses are given out one by one.
		["fd00::1", "fd00::2", false],
		["fe80::1", "fe80::2", false],
		["::1", "::2", false],
		["192.0.2.1", "192.0.2.2", false],
	])("counts %s and %s as one: %s", (one, other, areOne) => {
		const limit = new RateLimit(new VirtualClock(), limits);
		limit.take(one, 3);
		expect(limit.take(other) > 0).toBe(areOne);
		limit.forgive(other);
		expect(limit.take(one) === 0).toBe(areOne);
	});

	it("takes a cost, all of it or nothing", () => {
		const limit = new RateLimit(new VirtualClock(), limits);
		expect(limit.take("a", 2)).toBe(0);
		expect(limit.take("a", 2)).toBe(500);
		expect(limit.take("a", 1)).toBe(0);
	});
});

describe("ExpiringMap", () => {
	it("forgets each value at its own time, to the millisecond", async () => {
		const clock = new VirtualClock();
		const map = new ExpiringMap<string, number>(clock, 10);
		map.set("a", 1, 100);
		map.set("b", 2, 200);
		await clock.advance(99);
		expect([map.get("a"), map.get("b")]).toEqual([1, 2]);
		await clock.advance(1);
		expect([map.get("a"), map.get("b")]).toEqual([undefined, 2]);
		map.set("b", 3, 200);
		await clock.advance(199);
		expect(map.get("b")).toBe(3);
	});

	it("gives a value once to those who take it", async () => {
		const clock = new VirtualClock();
		const map = new ExpiringMap<string, number>(clock, 10);
		map.set("a", 1, 100);
		expect([map.take("a"), map.take("a")]).toEqual([1, undefined]);
		map.set("a", 1, 100);
		await clock.advance(100);
		expect(map.take("a")).toBeUndefined();
	});

	it("never holds more than its limit: the dead go first, then the oldest", async () => {
		const clock = new VirtualClock();
		const map = new ExpiringMap<string, number>(clock, 2);
		map.set("old", 1, 1000);
		map.set("dead", 2, 10);
		await clock.advance(10);
		map.set("new", 3, 1000);
		expect([map.size, map.get("old"), map.get("new")]).toEqual([2, 1, 3]);
		map.set("newer", 4, 1000);
		expect([map.size, map.get("old"), map.get("new"), map.get("newer")]).toEqual([2, undefined, 3, 4]);
		map.deleteWhere((value) => value === 3);
		expect([map.get("new"), map.get("newer")]).toEqual([undefined, 4]);
	});
});

describe("Backoff", () => {
	it("doubles its ceiling up to the maximum, never waits under a tenth of it, and starts over after a success", () => {
		for (let seed = 1; seed <= 50; seed++) {
			const backoff = new Backoff({ firstMs: 100, maxMs: 5_000 }, new SeededRandom(seed));
			for (const ceiling of [100, 200, 400, 800, 1600, 3200, 5000, 5000]) {
				const waitMs = backoff.nextMs();
				expect(waitMs, `seed ${seed}`).toBeGreaterThanOrEqual(ceiling / 10);
				expect(waitMs, `seed ${seed}`).toBeLessThanOrEqual(ceiling);
			}
			backoff.reset();
			expect(backoff.nextMs()).toBeLessThanOrEqual(100);
		}
	});

	it("stays finite however often it fails", () => {
		const backoff = new Backoff({ firstMs: 100, maxMs: 5_000 }, new SeededRandom(1));
		for (let tries = 0; tries < 5000; tries++) expect(backoff.nextMs()).toBeLessThanOrEqual(5_000);
	});
});
