import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { startNode, startServer, tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";

const folder = join(import.meta.dirname, "../../../../docs/monitoring");
const admin = "an-administrator-of-tests";

/** In dashboard, rules and scrape configuration. */
function namedMetrics(): Set<string> {
	const files = readdirSync(folder).filter((file) => !file.endsWith(".md"));
	return new Set(files.flatMap((file) => readFileSync(join(folder, file), "utf8").match(/\bwarren_[a-z0-9_]+/g) ?? []));
}

const typesIn = (text: string) => [...text.matchAll(/^# TYPE (warren_\w+) /gm)].map(([, name]) => name as string);
/** The runtime's, of which the files show what tells something. */
const ours = new Set(["up", "restarts", "memory_bytes"].map((name) => `warren_process_${name}`));
const isRuntimes = (name: string) => /^warren_(nodejs|process)_/.test(name) && !ours.has(name);

/** The roles of the edge, each alone: flags, beside host, port and data. */
const alone: Readonly<Record<string, { flags: readonly string[]; own: number }>> = {
	backbone: { flags: ["--http", "--stream-ports", "0-0"], own: 6 },
	coordinator: { flags: ["--insecure-no-mtls", "--no-stun"], own: 5 },
	gateway: { flags: [], own: 2 },
};

async function metricsOf(role: string, data: string): Promise<string> {
	const { flags } = alone[role] as { flags: readonly string[] };
	await using server = await startServer([role, ...flags, "--host", "127.0.0.1", "--port", "0", "--data", data], {
		WARREN_ALLOW_INSECURE: "1",
		BACKBONE_ADMIN_TOKEN: admin,
		WARREN_ADMIN_TOKEN: admin,
	});
	const answer = await fetch(`${server.ready["url"]}/metrics`, { headers: { authorization: `Bearer ${admin}` } });
	expect(answer.status).toBe(200);
	return answer.text();
}

describe("the monitoring files", () => {
	it("name every metric of every role, and none that nobody serves", { timeout: 180_000 }, async () => {
		const named = namedMetrics();
		expect(named.size).toBeGreaterThan(15);
		using data = tempFolder("monitoring");
		await using node = await startNode({ command: ["up"], env: { WARREN_SIDECAR_PORT: "0" } });
		const served = await (await node.fetch("/metrics")).text();
		expect(served).toContain('warren_process_up{process="private"} 1');
		const types = typesIn(served);
		for (const [role, { own }] of Object.entries(alone)) {
			const ofRole = typesIn(await metricsOf(role, data.file(role))).filter((name) => !isRuntimes(name));
			expect(ofRole.length, role).toBeGreaterThanOrEqual(own);
			types.push(...ofRole);
		}
		expect([...named].filter((name) => !types.includes(name))).toEqual([]);
		expect(types.filter((name) => !isRuntimes(name) && !named.has(name))).toEqual([]);
	});

	it("hold a dashboard that parses, its panels side by side", () => {
		const { panels } = JSON.parse(readFileSync(join(folder, "grafana-dashboard.json"), "utf8")) as {
			panels: { id: number; gridPos: { x: number; y: number } }[];
		};
		expect(panels.length).toBeGreaterThan(15);
		expect(new Set(panels.map(({ id }) => id)).size).toBe(panels.length);
		expect(new Set(panels.map(({ gridPos: { x, y } }) => `${x} ${y}`)).size).toBe(panels.length);
	});
});
