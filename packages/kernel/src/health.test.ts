import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { type ConditionKind, HealthTable } from "./health.ts";

const kind = (code: string, severity: ConditionKind["severity"], delayMs = 0): ConditionKind => ({
	code,
	severity,
	title: "{peer} is away.",
	advice: "Wake {peer}, or {nothing}.",
	delayMs,
});
const away = kind("peer-away", "warning", 5000);
const broken = kind("broken", "error");
const note = kind("note", "info");

describe("the health table", () => {
	it("shows a condition once it has lasted its delay, and tells the watchers at that moment", async () => {
		const clock = new VirtualClock();
		const health = new HealthTable(clock);
		const told: string[] = [];
		health.watch(() => told.push(health.summary()));
		health.raise(away, { peer: "bob" }, "b");
		expect(health.summary()).toBe("ok");
		await clock.advance(4999);
		expect([health.summary(), told]).toEqual(["ok", []]);
		await clock.advance(1);
		expect([health.summary(), told]).toEqual(["warning", ["warning"]]);
		expect(health.list()).toEqual([
			{
				code: "peer-away",
				severity: "warning",
				title: "bob is away.",
				advice: "Wake bob, or {nothing}.",
				since: clock.now() - 5000,
				subject: "b",
			},
		]);
		health.clear(away, "b");
		expect([health.summary(), told]).toEqual(["ok", ["warning", "ok"]]);
	});

	it("says nothing of a blip", async () => {
		const clock = new VirtualClock();
		const health = new HealthTable(clock);
		let told = 0;
		health.watch(() => told++);
		health.raise(away, {}, "b");
		await clock.advance(4000);
		health.clear(away, "b");
		health.clear(away, "never raised");
		await clock.advance(10_000);
		expect([told, clock.pending]).toEqual([0, 0]);
	});

	it("keeps the moment when it is raised again, and renews the facts", async () => {
		const clock = new VirtualClock();
		const health = new HealthTable(clock);
		health.raise(broken, { peer: "a" });
		await clock.advance(1000);
		health.raise(broken, { peer: "b" });
		expect(health.list()).toMatchObject([{ since: clock.now() - 1000, title: "b is away." }]);
	});

	it("lists the worst first, then the oldest", async () => {
		const clock = new VirtualClock();
		const health = new HealthTable(clock);
		for (const [each, subject] of [
			[note, "1"],
			[broken, "2"],
			[note, "3"],
			[broken, "4"],
		] as const) {
			health.raise(each, {}, subject);
			await clock.advance(1);
		}
		expect(health.list().map(({ subject }) => subject)).toEqual(["2", "4", "1", "3"]);
		expect(health.summary()).toBe("error");
	});

	it("stops telling those who left", async () => {
		const clock = new VirtualClock();
		const health = new HealthTable(clock);
		let told = 0;
		health.watch(() => told++)();
		health.raise(broken);
		await clock.advance(0);
		expect(told).toBe(0);
	});
});
