import { spawnSync } from "node:child_process";
import { join } from "node:path";
import { run } from "@warren/net";
import { noNats, noPostgres } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { obstacle } from "./overlay/hosts.ts";

/** Benches that nobody runs rot: one short round each, without peers and without verdicts. */
const hasTmux = spawnSync("tmux", ["-V"]).error === undefined;

async function smoke(file: string): Promise<string> {
	const result = await run(process.execPath, [join(import.meta.dirname, file), "--smoke"], { timeoutMs: 120_000 });
	// What it said goes first: a bare exit code tells nobody what to mend.
	if (result.outcome !== "exited" || result.code !== 0)
		expect(result).toMatchObject({ outcome: "exited", code: 0, stderr: "" });
	expect(result.outcome).toBe("exited");
	return result.outcome === "exited" ? result.stdout : "";
}

describe("the benches still run", () => {
	it("terminal", { timeout: 150_000 }, async (test) => {
		test.skip(!hasTmux, "tmux is not installed");
		expect(await smoke("terminal/run.ts")).toMatch(/key → glyph p50/);
	});

	it("overlay", { timeout: 150_000 }, async (test) => {
		const reason = obstacle();
		if (reason !== null) test.skip(true, reason);
		expect(await smoke("overlay/run.ts")).toMatch(/warren offload +TCP ×1 .*\nwarren portable/);
	});

	it("start", { timeout: 150_000 }, async () => {
		expect(await smoke("start/run.ts")).toMatch(/terminal +\d+ ms/);
	});

	it("gateway", { timeout: 150_000 }, async () => {
		expect(await smoke("gateway/run.ts")).toMatch(/broadcast\/s +warren /);
	});

	it("tunnel", { timeout: 150_000 }, async () => {
		expect(await smoke("tunnel/run.ts")).toMatch(/warren, parked +\d+ requests\/s/);
	});

	it("ai", { timeout: 150_000 }, async () => {
		expect(await smoke("ai/run.ts")).toMatch(/warren +c=1 p50 .* 0 failures/);
	});

	it("sync", { timeout: 150_000 }, async () => {
		expect(await smoke("sync/sync.bench.ts")).not.toBe("");
	});

	it("scale", { timeout: 150_000 }, async (test) => {
		const missing = noPostgres() ?? noNats();
		if (missing !== null) test.skip(true, missing);
		const text = await smoke("scale/run.ts");
		expect(text).toMatch(/backbone ×3 +[1-9]\d* requests\/s/);
		expect(text).toMatch(/engines ×3 +[1-9]\d* leases\/s told to 3 +[1-9]\d* commits\/s on disk/);
		expect(text).toMatch(/hub ×3 +4 rooms +[1-9]\d* edits\/s on disk +[1-9]\d* deliveries\/s/);
		expect(text).toMatch(/gateway ×3 +[1-9]\d* deliveries\/s/);
	});

	it("coordinator", { timeout: 150_000 }, async () => {
		expect(await smoke("coordinator/run.ts")).toMatch(/change → last viewer p99/);
	});
});
