import { existsSync, readFileSync } from "node:fs";
import { silentLogger } from "@warren/kernel";
import { SeededRandom, VirtualClock } from "@warren/testkit";
import { describe, expect, it, vi } from "vitest";
import { OpencodeProcess, processLimits } from "./opencode-process.ts";

const listening = `console.log("opencode server listening on http://127.0.0.1:4096"); setInterval(() => {}, 1000);`;

/** One that has ended, and that nobody has asked about yet, is gone. */
function isAlive(pid: number): boolean {
	const stat = `/proc/${pid}/stat`;
	if (existsSync("/proc/self/stat")) return existsSync(stat) && !/\) Z /.test(readFileSync(stat, "utf8"));
	try {
		process.kill(pid, 0);
		return true;
	} catch {
		// Nobody of that number.
		return false;
	}
}

/** Programs that a test starts, one after another. */
function start(scripts: readonly string[], env: Record<string, string> = {}, ready: Promise<void> | null = null) {
	const clock = new VirtualClock();
	let at = 0;
	const launched = vi.fn();
	const spawned = vi.fn(() => process.execPath);
	const waits: { reason: string; waitMs: number }[] = [];
	const started: OpencodeProcess = new OpencodeProcess(
		{ clock, random: new SeededRandom(1), logger: silentLogger },
		async () => {
			launched();
			if (ready !== null) await ready;
			const script = scripts[Math.min(at++, scripts.length - 1)] as string;
			if (script === "throw") throw new Error("nothing to start");
			return {
				get program() {
					return spawned();
				},
				...{ args: ["-e", script], cwd: process.cwd(), env },
			};
		},
		() => {
			const { state } = started;
			if (state.kind === "waiting") waits.push({ reason: state.reason, waitMs: state.retryAt - clock.now() });
		},
	);
	started.start();
	const until = (kind: string) => vi.waitFor(() => expect(started.state.kind).toBe(kind), { timeout: 30_000 });
	return { started, clock, launched, spawned, waits, until, [Symbol.asyncDispose]: () => started.close() };
}

describe("OpencodeProcess", () => {
	it("runs once it says where it listens, and is gone after close", async () => {
		await using given = start([listening]);
		await given.until("running");
		const { state } = given.started;
		const pid = state.kind === "running" ? state.pid : 0;
		expect(state).toMatchObject({ url: "http://127.0.0.1:4096" });
		await given.started.close();
		await given.started.close();
		expect(given.started.state.kind).toBe("stopped");
		expect(isAlive(pid)).toBe(false);
	});

	it("is started again with a back-off that grows, and says why it waits", async () => {
		await using given = start(["process.exit(3)", "throw", listening]);
		await given.until("waiting");
		await given.clock.advance(3 * processLimits.backoff.firstMs);
		await given.until("running");
		expect(given.waits.map((each) => each.reason)).toEqual([expect.stringContaining("status 3"), "nothing to start"]);
		for (const [index, { waitMs }] of given.waits.entries())
			expect(waitMs).toBeLessThanOrEqual(processLimits.backoff.firstMs * 2 ** index);
		expect(given.launched).toHaveBeenCalledTimes(3);
	});

	it("one that says nothing is ended and tried again", async () => {
		await using given = start(["setInterval(() => {}, 1000)", listening]);
		await vi.waitFor(() => expect(given.launched).toHaveBeenCalledTimes(1), { timeout: 30_000 });
		await given.clock.advance(processLimits.readyMs);
		await given.until("waiting");
		await given.clock.advance(processLimits.backoff.maxMs);
		await given.until("running");
	});

	it("one that is closed while it starts anew stays closed", async () => {
		await using given = start([listening]);
		await given.until("running");
		const restarting = given.started.restart();
		await given.started.close();
		await restarting;
		expect(given.started.state.kind).toBe("stopped");
		expect(given.launched).toHaveBeenCalledTimes(1);
	});

	it("is one program, however often it is started anew while it is made ready", async () => {
		const ready = Promise.withResolvers<void>();
		await using given = start([listening], {}, ready.promise);
		await given.started.restart();
		ready.resolve();
		await given.until("running");
		expect(given.launched).toHaveBeenCalledTimes(2);
		expect(given.spawned).toHaveBeenCalledTimes(1);
	});

	it("a program that the system refuses at once is waited for like one that ends", async () => {
		await using given = start([listening], { BIG: "x".repeat(1024 * 1024) });
		await given.until("waiting");
		expect(given.waits.map((each) => each.reason)).toEqual([expect.stringContaining("E2BIG")]);
	});

	it("takes what it started with it", async () => {
		await using given = start([
			`const child = require("child_process").spawn(process.execPath, ["-e", "setInterval(() => {}, 1000)"]); console.log("child=" + child.pid); ${listening}`,
		]);
		await given.until("running");
		const child = Number(/child=(\d+)/.exec(given.started.log)?.[1]);
		expect(child).toBeGreaterThan(0);
		await given.started.close();
		await vi.waitFor(() => expect(isAlive(child)).toBe(false), { timeout: 30_000 });
	});
});
