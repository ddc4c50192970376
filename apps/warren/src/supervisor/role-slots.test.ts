import { silentLogger, WarrenError } from "@warren/kernel";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { RoleSlots } from "./role-slots.ts";

function slots(logger = silentLogger) {
	const clock = new VirtualClock();
	let changes = 0;
	const made = new RoleSlots({
		clock,
		random: new SeededRandom(3),
		logger,
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

	it("one whose first tries came too early is nobody's news: what it waits for may be starting beside it", async () => {
		const said: string[] = [];
		const { clock, made } = slots({ ...silentLogger, error: (what) => void said.push(what) });
		const away = new WarrenError("coordinator_away", "It does not answer.", { status: 503, retryable: true });
		let tries = 0;
		await made.start("overlay", async () => {
			tries += 1;
			throw away;
		});
		expect([tries, said]).toEqual([1, []]);
		expect(made.rows()).toMatchObject([{ state: "restarting", error: "It does not answer." }]);
		await clock.advance(20_000);
		expect(said).toEqual([]);
		await clock.advance(60_000);
		expect(tries).toBeGreaterThan(3);
		expect(said).toEqual(["a role cannot start"]);
		await made.close();
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
