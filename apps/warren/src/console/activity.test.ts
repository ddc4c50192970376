import type { Audit, AuditRecord } from "@warren/kernel";
import { describe, expect, it } from "vitest";
import { type ActivityDoors, readActivity } from "./activity.ts";

const record = (id: number, at: number, role = "node"): AuditRecord => ({
	...{ id, at, role, actor: "operator:ada", action: "device.create", target: "", address: "", outcome: "ok" },
});
/** A log as it lists itself: newest first, below a number, so many. */
const log = (records: readonly AuditRecord[]): Audit => ({
	record() {},
	list: async ({ limit, before = Infinity }) => records.filter(({ id }) => id < before).slice(0, limit),
});
const noDoor = async () => {
	throw new Error("there is no such door");
};

describe("the activity of several logs", () => {
	it("goes on without a role that is down, and names it", async () => {
		const doors: ActivityDoors = {
			roles: ["coordinator"],
			askCoordinator: async () => {
				throw new Error("the coordinator of this machine is down");
			},
			...{ askBackbone: noDoor, askGateway: noDoor },
		};
		const { records, silent, next } = await readActivity(log([record(1, 10)]), doors, { limit: 5 });
		expect(records).toMatchObject([{ source: "own", id: 1 }]);
		expect(silent).toEqual([{ role: "coordinator", message: "the coordinator of this machine is down" }]);
		expect(next).toBeNull();
	});

	it("pages by each log's own numbers, however unlike their times are", async () => {
		const own = log([record(9, 100), record(8, 90), record(7, 20)]);
		const coordinator = log([record(3, 95, "coordinator"), record(2, 94, "coordinator"), record(1, 93, "coordinator")]);
		const client = {
			call: async (_method: string, path: string) => {
				const query = new URLSearchParams(path.split("?")[1]);
				const before = query.get("before");
				const asked = { limit: Number(query.get("limit")), ...(before === null ? {} : { before: Number(before) }) };
				return { records: await coordinator.list(asked) };
			},
		};
		const doors: ActivityDoors = {
			roles: ["coordinator"],
			askCoordinator: (ask) => ask(client as never),
			...{ askBackbone: noDoor, askGateway: noDoor },
		};
		const seen: number[] = [];
		let before: string | undefined;
		do {
			const { records, next } = await readActivity(own, doors, { limit: 2, before });
			seen.push(...records.map(({ at }) => at));
			before = next ?? undefined;
		} while (before !== undefined);
		expect(seen).toEqual([100, 95, 94, 93, 90, 20]);
	});
});
