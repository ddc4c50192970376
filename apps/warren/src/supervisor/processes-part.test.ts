import { type Condition, HealthTable } from "@warren/kernel";
import { Metrics } from "@warren/net";
import { VirtualClock } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import type { NodeConfig } from "../config/node-config.ts";
import { measureHealth } from "../health-metrics.ts";
import type { NodeBase } from "../node/role-part.ts";
import type { ProcessRow } from "./messages.ts";
import { processesPart } from "./processes-part.ts";

const setAside: Condition = {
	...{ code: "overlay-kernel-plane-set-aside", severity: "warning", since: 1, subject: "warren0" },
	...{ title: "The kernel's own {WireGuard} is set aside on warren0.", advice: "Join once with --data-plane kernel." },
};

async function machine() {
	const clock = new VirtualClock();
	const health = new HealthTable(clock);
	const metrics = new Metrics();
	measureHealth(metrics, health);
	const published: string[] = [];
	const watchers: (() => void)[] = [];
	let rows: readonly ProcessRow[] = [];
	const feed = { publish: ({ type }: { type: string }) => void published.push(type) };
	const open = processesPart({
		rows: () => rows,
		watch: (watcher) => {
			watchers.push(watcher);
			return () => {};
		},
		tell: () => {},
		notice: () => {},
	});
	const part = await open({ health, metrics, feed } as unknown as NodeBase, {} as NodeConfig);
	return {
		health,
		metrics,
		published,
		part,
		/** What the joiner's process tells. */
		tells: (conditions: readonly Condition[]) => {
			const role = { name: "overlay", state: "running", since: 0, conditions } as const;
			const row = { name: "joiner", state: "running", since: 0, pid: 7, memoryBytes: 1 } as const;
			rows = [{ ...row, roles: [role], restarts: 0, error: null }];
			for (const watcher of watchers) watcher();
		},
	};
}

describe("what another process tells of its health", () => {
	it("stands in this one's own table and its metrics as it was said, until it is told no more", async () => {
		const { health, metrics, published, tells } = await machine();
		tells([setAside]);
		expect(health.list()).toMatchObject([{ ...setAside, since: expect.any(Number) }]);
		expect(await metrics.registry.metrics()).toContain('code="overlay-kernel-plane-set-aside",severity="warning"');
		expect(published.length).toBe(1);
		tells([setAside]);
		expect(published.length).toBe(1);
		tells([setAside, { ...setAside, subject: "warren1" }]);
		expect(health.list().map(({ subject }) => subject)).toEqual(["warren0", "warren1"]);
		tells([{ ...setAside, subject: "warren1" }]);
		expect(health.list().map(({ subject }) => subject)).toEqual(["warren1"]);
		tells([]);
		expect(health.list()).toEqual([]);
		expect(published.length).toBe(4);
	});

	it("is not said a second time among its roles", async () => {
		const { part, tells } = await machine();
		tells([setAside]);
		expect(part.roles?.()).toEqual([{ name: "overlay", state: "running", since: 0, pid: 7, memoryBytes: 1 }]);
	});
});
