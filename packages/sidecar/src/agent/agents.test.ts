import { writeFileSync } from "node:fs";
import { silentLogger, systemRandom } from "@warren/kernel";
import { freePort, tempFolder, VirtualClock } from "@warren/testkit";
import { describe, expect, it, vi } from "vitest";
import { CodingAgents } from "./agents.ts";

const ada = { kind: "user", userId: "ada", name: "Ada", admin: true, expiresAt: 9e15 } as never;

function open(folder: string, command = process.execPath): CodingAgents {
	const documents = { list: async () => [] } as never;
	return new CodingAgents(
		{ clock: new VirtualClock(), random: systemRandom, logger: silentLogger, documents },
		{
			...{ hub: { url: "http://127.0.0.1:1", ca: null }, folder, environment: {}, command, mcp: {}, localPlugins: [] },
			mayRun: () => true,
			sessions: { kinds: ["session"], authenticate: async () => null },
		},
	);
}

describe("CodingAgents", () => {
	it("stop one that is just being opened", async () => {
		using folder = tempFolder("agents");
		const agents = open(folder.file("agents"));
		const starting = agents.start(ada, "token");
		await agents.stop("ada");
		expect(agents.get("ada")).toBeUndefined();
		expect((await starting).state.kind).toBe("stopped");
		await agents.close();
	});

	it("leave none behind that was just being opened when all are closed", async () => {
		using folder = tempFolder("agents");
		const agents = open(folder.file("agents"));
		const starting = agents.start(ada, "token");
		await agents.close();
		expect((await starting).state.kind).toBe("stopped");
	});

	it("say of one that runs and does not answer that it is not ready", async () => {
		using folder = tempFolder("agents");
		const program = folder.file("opencode");
		const said = `opencode server listening on http://127.0.0.1:${await freePort()}`;
		writeFileSync(program, `#!${process.execPath}\nconsole.log("${said}"); setInterval(() => {}, 1000);\n`, {
			mode: 0o755,
		});
		const agents = open(folder.file("agents"), program);
		const agent = await agents.start(ada, "token");
		await vi.waitFor(() => expect(agent.state.kind).toBe("running"), { timeout: 30_000 });
		const { signal } = new AbortController();
		await expect(agent.request("GET", "/session", null, signal)).rejects.toMatchObject({
			...{ code: "agent_not_ready", status: 503, retryable: true },
			message: expect.stringContaining("ECONNREFUSED"),
		});
		await agents.close();
	});

	it("close though one could not be opened", async () => {
		using folder = tempFolder("agents");
		const agents = open(folder.file("agents"), folder.file("none"));
		const starting = agents.start(ada, "token");
		const refused = expect(starting).rejects.toMatchObject({ code: "no_opencode" });
		await agents.close();
		await refused;
	});
});
