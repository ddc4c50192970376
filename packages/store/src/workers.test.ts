import { join } from "node:path";
import { freePort, noPostgres, TestPostgres, Workerd } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import type { ContractRun } from "./tables-worker.testing.ts";

const leastCases = 7;

// The runtime is a process of its own, and shares the machine.
describe("tables as Workers have them: the contract, run inside the real runtime", { timeout: 120_000 }, () => {
	let workerd: Workerd;
	beforeAll(async () => {
		workerd = await Workerd.start(join(import.meta.dirname, "tables-worker.testing.ts"), {
			objects: { TABLES: "TablesObject" },
			alias: { vitest: join(import.meta.dirname, "vitest-of-worker.testing.ts") },
		});
	}, 120_000);
	afterAll(() => workerd?.[Symbol.asyncDispose]());

	const kept = async (run: ContractRun) => {
		const answer = await fetch(workerd.origin, { method: "POST", body: JSON.stringify(run) });
		const results = (await answer.json()) as Record<string, string>;
		expect(Object.keys(results).length).toBeGreaterThanOrEqual(leastCases);
		expect(Object.entries(results).filter(([, result]) => result !== "ok")).toEqual([]);
	};

	it("a Durable Object's storage keeps it", () => kept({ postgres: null, databases: [] }));

	it("PostgreSQL keeps it, over a socket of the platform's", async (context) => {
		const reason = noPostgres();
		context.skip(reason !== null, reason ?? "");
		using server = new TestPostgres({ port: await freePort() });
		const databases = Array.from({ length: leastCases + 2 }, () => server.createDatabase());
		await kept({ postgres: { host: "127.0.0.1", port: server.port, user: server.user }, databases });
	});
});
