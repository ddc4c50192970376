import { type ConditionKind, HealthTable, silentLogger, WarrenError } from "@warren/kernel";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { maxConditions, RoleSlots } from "./role-slots.ts";

function slots() {
	const clock = new VirtualClock();
	let changes = 0;
	const made = new RoleSlots({
		clock,
		random: new SeededRandom(3),
		logger: silentLogger,
		onChange: () => {
			changes += 1;
		},
	});
	return { clock, made, changes: () => changes };
}

describe("roles of one process", () => {
	it("one that cannot start is shown with its fix, and tried until it can; the others go on", async () => {
		const { clock, made, changes } = slots();
		let taken = true;
		const closed: string[] = [];
		await made.start("gateway", async () => ({ close: () => void closed.push("gateway") }));
		await made.start("backbone", async () => {
			if (taken) throw new WarrenError("port_taken", "Port 5152 is taken.", { status: 500, fix: "Free it." });
			return { close: () => void closed.push("backbone") };
		});
		expect(made.rows()).toMatchObject([
			{ name: "gateway", state: "running" },
			{ name: "backbone", state: "restarting", error: "Port 5152 is taken. Free it." },
		]);
		await clock.advance(300_000);
		expect(made.rows()[1]).toMatchObject({ state: "restarting" });
		taken = false;
		await clock.advance(60_000);
		expect(made.rows()[1]).toEqual({ name: "backbone", state: "running", since: expect.any(Number) });
		const seen = changes();
		await clock.advance(300_000);
		expect(changes()).toBe(seen);
		await made.close();
		expect(closed).toEqual(["backbone", "gateway"]);
	});

	it("tell their own conditions as they come and go, the worst first, at most a hundred", async () => {
		const { clock, made, changes } = slots();
		const health = new HealthTable(clock);
		const kind = (severity: ConditionKind["severity"]): ConditionKind => ({
			...{ code: `of-${severity}`, severity, title: "{what} is slow", advice: "Wait.", delayMs: 0 },
		});
		await made.start("overlay", async () => ({ health, close: () => {} }));
		expect(made.rows()[0]).not.toHaveProperty("conditions");
		const before = changes();
		health.raise(kind("info"), { what: "wg0" });
		health.raise(kind("error"), { what: "wg1" });
		await clock.advance(1);
		expect(changes()).toBeGreaterThan(before);
		expect(made.rows()[0]?.conditions).toMatchObject([{ title: "wg1 is slow" }, { title: "wg0 is slow" }]);
		for (let peer = 0; peer < 200; peer++) health.raise(kind("info"), { what: "wg2" }, `${peer}`);
		expect(made.rows()[0]?.conditions?.length).toBe(maxConditions);
		for (let peer = 0; peer < 200; peer++) health.clear(kind("info"), `${peer}`);
		health.clear(kind("info"));
		health.clear(kind("error"));
		expect(made.rows()[0]).not.toHaveProperty("conditions");
		await made.close();
		const after = changes();
		health.raise(kind("error"));
		await clock.advance(1);
		expect(changes()).toBe(after);
	});

	it("are all closed, also where one cannot close cleanly", async () => {
		const { made } = slots();
		const closed: string[] = [];
		await made.start("gateway", async () => ({ close: () => void closed.push("gateway") }));
		await made.start("backbone", async () => ({ close: () => Promise.reject(new Error("the disk is full")) }));
		await expect(made.close()).rejects.toMatchObject({ errors: [{ message: "the disk is full" }] });
		expect(closed).toEqual(["gateway"]);
	});

	it("is not tried any more once it was closed", async () => {
		const { clock, made } = slots();
		let tries = 0;
		await made.start("gateway", async () => {
			tries += 1;
			throw new Error("no");
		});
		await made.close();
		await clock.advance(300_000);
		expect(tries).toBe(1);
		expect(clock.pending).toBe(0);
	});
});
