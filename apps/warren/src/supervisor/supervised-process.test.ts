import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { aliveEveryMs } from "./messages.ts";
import { type LaunchHandlers, processLimits, SupervisedProcess } from "./supervised-process.ts";

const alive = { type: "alive", memoryBytes: 50_000_000 } as const;
const ready = { type: "ready", ready: {}, greeting: "", notice: "" } as const;

/** A process of which each launch is the test's to steer; SIGKILL ends it, SIGTERM only where the test says so. */
function supervised(options: { deaf?: boolean } = {}) {
	const clock = new VirtualClock();
	const launches: LaunchHandlers[] = [];
	const signals: string[] = [];
	const process = new SupervisedProcess("edge", {
		clock,
		random: new SeededRandom(1),
		onChange: () => {},
		onReady: () => {},
		launch: (handlers) => {
			launches.push(handlers);
			return {
				pid: launches.length,
				signal: (name) => {
					signals.push(name);
					if (name === "SIGKILL" || options.deaf !== true) handlers.ended(name);
				},
			};
		},
	});
	const last = () => launches.at(-1) as LaunchHandlers;
	return { clock, process, launches, signals, last };
}

describe("a supervised process", () => {
	it("is started again when it ends, and shows why it ended", async () => {
		const { clock, process, launches, last } = supervised();
		process.start();
		last().message(ready);
		expect(process.row).toMatchObject({ state: "running", pid: 1, restarts: 0, error: null });
		last().ended("it ended with signal SIGSEGV");
		expect(process.row).toMatchObject({
			state: "restarting",
			pid: null,
			error: { message: "it ended with signal SIGSEGV" },
		});
		await clock.advance(processLimits.restart.firstMs);
		expect(launches).toHaveLength(2);
		expect(process.row).toMatchObject({
			state: "starting",
			restarts: 1,
			error: { message: "it ended with signal SIGSEGV" },
		});
		last().message(ready);
		expect(process.row).toMatchObject({ state: "running", error: null });
	});

	it("says its own reason when it gave one", () => {
		const { process, last } = supervised();
		process.start();
		last().message({ type: "failed", code: "port_taken", message: "Port 8888 is taken.", fix: "Free it." });
		last().ended("it ended with 1");
		expect(process.row.error).toEqual({ message: "Port 8888 is taken.", fix: "Free it." });
	});

	it("waits ever longer while it keeps failing, never beyond the limit, and forgets after a stable minute", async () => {
		const { clock, process, launches, last } = supervised();
		process.start();
		for (let failures = 0; failures < 20; failures += 1) {
			last().ended("it ended with 1");
			const before = launches.length;
			await clock.advance(processLimits.restart.maxMs);
			expect(launches.length).toBe(before + 1);
		}
		last().message(ready);
		for (let ms = 0; ms < processLimits.stableMs; ms += aliveEveryMs) {
			await clock.advance(aliveEveryMs);
			last().message(alive);
		}
		last().ended("it ended with 1");
		const before = launches.length;
		await clock.advance(processLimits.restart.firstMs);
		expect(launches.length).toBe(before + 1);
	});

	it("is killed when it does not get ready", async () => {
		const { clock, process, signals } = supervised();
		process.start();
		await clock.advance(processLimits.startMs);
		expect(signals).toEqual(["SIGKILL"]);
		expect(process.row.error?.message).toContain("not ready after 60 s");
	});

	it("is killed when its event loop is stuck, and not while it says that it lives", async () => {
		const { clock, process, signals, last } = supervised();
		process.start();
		last().message(ready);
		for (let beats = 0; beats < 100; beats += 1) {
			await clock.advance(aliveEveryMs);
			last().message(alive);
		}
		expect(signals).toEqual([]);
		expect(process.row.memoryBytes).toBe(alive.memoryBytes);
		await clock.advance(processLimits.silenceMs);
		expect(signals).toEqual(["SIGKILL"]);
		expect(process.row).toMatchObject({ state: "restarting", error: { message: "it did not answer for 30 s" } });
	});

	it("stops for good: SIGTERM, then SIGKILL when that is not enough", async () => {
		const { clock, process, signals, last, launches } = supervised({ deaf: true });
		process.start();
		last().message(ready);
		const stopped = process.stop();
		expect(signals).toEqual(["SIGTERM"]);
		await clock.advance(processLimits.stopMs);
		await stopped;
		expect(signals).toEqual(["SIGTERM", "SIGKILL"]);
		process.start();
		await clock.advance(1_000_000);
		expect(launches).toHaveLength(1);
		expect(process.row.state).toBe("stopped");
		expect(clock.pending).toBe(0);
	});

	it("stops while it waits to start again", async () => {
		const { clock, process, last, launches } = supervised();
		process.start();
		last().ended("it ended with 1");
		await process.stop();
		await clock.advance(1_000_000);
		expect(launches).toHaveLength(1);
	});
});
