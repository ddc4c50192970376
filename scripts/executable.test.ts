import { spawn } from "node:child_process";
import { once } from "node:events";
import { cpSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { run } from "@warren/net";
import { tempFolder } from "@warren/testkit";
import { Agent, fetch } from "undici";
import { describe, expect, it } from "vitest";

const root = join(import.meta.dirname, "..");

describe("the single executable", () => {
	it("starts a machine and a hub with nothing beside it", { timeout: 300_000 }, async () => {
		using folder = tempFolder("executable");
		const built = await run(process.execPath, [join(root, "scripts/build-executable.mjs")], { timeoutMs: 280_000 });
		expect(built).toMatchObject({ outcome: "exited", code: 0 });
		const program = join(folder.path, "warren");
		cpSync(join(root, "dist/warren"), program);
		const env = {
			PATH: "/usr/bin:/bin",
			HOME: folder.path,
			WARREN_SIDECAR_PORT: "0",
			WARREN_EDGE: "0",
			WARREN_OVERLAY: "0",
		};
		const version = await run(program, ["--version"], { timeoutMs: 30_000, env });
		expect(version).toMatchObject({ outcome: "exited", code: 0, stdout: expect.stringMatching(/^\d+\.\d+\.\d+\n$/) });
		for (const role of ["up", "hub"]) {
			const child = spawn(
				program,
				[role, "--data", join(folder.path, role), "--port", "0", "--host", "127.0.0.1", "--json"],
				{
					env,
					stdio: ["ignore", "pipe", "inherit"],
				},
			);
			try {
				const ended = once(child, "exit").then(([code]) => Promise.reject(new Error(`it ended with ${code}`)));
				const first = once(createInterface({ input: child.stdout }), "line") as Promise<[string]>;
				ended.catch(() => {});
				const [line] = await Promise.race([first, ended]);
				const { url } = JSON.parse(line) as { url: string };
				const agent = new Agent({ connect: { rejectUnauthorized: false } });
				const answer = await fetch(url, { dispatcher: agent, headers: { accept: "application/json" } });
				expect(await answer.json()).toMatchObject({ app: "warren" });
				await agent.destroy();
			} finally {
				child.kill("SIGTERM");
				if (child.exitCode === null) await once(child, "exit");
			}
			expect(child.exitCode).toBe(0);
		}
	});
});
