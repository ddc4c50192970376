import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startNode } from "@warren/testkit";
import { describe, expect, it } from "vitest";

const folder = join(import.meta.dirname, "../../../../docs/monitoring");

describe("the monitoring files", () => {
	it("name only metrics that a machine serves", async () => {
		const named = new Set(
			readdirSync(folder)
				.filter((file) => !file.endsWith(".md"))
				.flatMap((file) => readFileSync(join(folder, file), "utf8").match(/\bwarren_[a-z0-9_]+/g) ?? []),
		);
		expect(named.size).toBeGreaterThan(5);
		await using node = await startNode({ command: ["up"], env: { WARREN_SIDECAR_PORT: "0" } });
		const served = await (await node.fetch("/metrics")).text();
		const missing = [...named].filter((name) => !served.includes(`# TYPE ${name} `));
		expect(missing).toEqual([]);
		expect(served).toContain('warren_process_up{process="private"} 1');
	});

	it("hold a dashboard that parses", () => {
		const dashboard = JSON.parse(readFileSync(join(folder, "grafana-dashboard.json"), "utf8")) as { panels: object[] };
		expect(dashboard.panels.length).toBeGreaterThan(5);
	});
});
