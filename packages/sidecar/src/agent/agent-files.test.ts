import { readdirSync, readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemClock, systemRandom, WarrenError } from "@warren/kernel";
import { tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { Doc } from "yjs";
import type { DocumentFacts, DocumentHost } from "../document-host.ts";
import { schemaLimits } from "../workspaces/schema.ts";
import { Workspace } from "../workspaces/workspace.ts";
import { workspaceTools } from "../workspaces/workspace-tools.ts";
import { opencodeConfig } from "./opencode-config.ts";
import { OpencodeHome } from "./opencode-home.ts";
import { readWorkspaces } from "./plugin-list.ts";
import { toolsFile, toolsFileName, toolsFileNames } from "./tools-file.ts";

const who = { kind: "user", userId: "ada", name: "Ada", admin: false, expiresAt: 9e15 } as never;
const deps = { clock: systemClock, random: systemRandom };

/** Documents in memory. */
function host(documents: readonly { facts: Partial<DocumentFacts>; doc: Doc }[]): DocumentHost {
	const all = documents.map(({ facts, doc }, index) => ({
		doc,
		facts: {
			id: `workspace-${index}abcd`,
			kind: "workspace",
			name: "W",
			createdAt: 0,
			updatedAt: 0,
			readOnly: false,
			...facts,
		},
	}));
	return {
		list: async () => all.map((each) => each.facts),
		open: async (_who: unknown, id: string) => ({
			...(all.find((each) => each.facts.id === id) as (typeof all)[0]),
			flush: async () => {},
			close: () => {},
		}),
	} as never;
}

function workspaceWith(table: string, columns: object, ...rows: object[]): Doc {
	const doc = new Doc();
	const workspace = new Workspace(doc, { ...deps, readOnly: false });
	workspace.defineTable(table, { columns });
	for (const row of rows) workspace.insert(table, row);
	return doc;
}

describe("the tools file", () => {
	it("has a tool for each action, imports nothing, and calls the relay with the secret", async () => {
		const doc = workspaceWith("notes", { title: { type: "text", required: true } });
		const { tools } = await readWorkspaces(host([{ doc, facts: { name: "Küche & Co" } }]), who, deps);
		const text = toolsFile(tools[0] as (typeof tools)[0]);
		expect(text).not.toMatch(/\bimport\b|\brequire\b/);
		expect(toolsFileName(tools[0] as (typeof tools)[0])).toBe("kuche_co_abcd.js");
		process.env["WARREN_AGENT_RELAY"] = "http://127.0.0.1:9";
		const loaded = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as Record<
			string,
			{ description: string; args: { input: { required: string[] } }; execute: (args: object) => Promise<string> }
		>;
		delete process.env["WARREN_AGENT_RELAY"];
		expect(Object.keys(loaded).sort()).toEqual(
			["create", "delete", "get", "list", "update"].map((action) => `notes_${action}`),
		);
		expect(loaded["notes_create"]?.args.input.required).toEqual(["title"]);
		await expect(loaded["notes_list"]?.execute({})).rejects.toThrow();
	});

	it("keeps a workspace's words in their quotes", async () => {
		const evil = { id: "w`${1}", name: '"; process.exit(1); //\u2028', actions: [] };
		expect(toolsFile(evil)).toContain(JSON.stringify(evil.id));
		const action = { name: "a_list", kind: "query", description: evil.name, input: {}, run: () => null } as const;
		const text = toolsFile({ ...evil, actions: [action] });
		const loaded = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as {
			a_list: { description: string };
		};
		expect(loaded.a_list.description).toContain(evil.name);
		expect(toolsFileName({ id: "xyz", name: "../../etc" })).toBe("etc_xyz.js");
		expect(toolsFileName({ id: "xyz", name: "42" })).toBe("workspace_xyz.js");
	});

	it("knows no table whose name is none, whoever wrote it into the document", async () => {
		const doc = workspaceWith("notes", { title: { type: "text" } });
		const code = "a_list = (process.env.WARREN_TEST_OWNED = '1'); export const b";
		for (const name of [code, "Notes!", "", "__proto__", "x".repeat(49)])
			doc.getMap("schema").set(name, { columns: {} });
		const { tools } = await readWorkspaces(host([{ doc, facts: { readOnly: true } }]), who, deps);
		expect(tools[0]?.actions.map((each) => each.name)).toEqual(["notes_list", "notes_get"]);
		await import(`data:text/javascript,${encodeURIComponent(toolsFile(tools[0] as (typeof tools)[0]))}`);
		expect(process.env["WARREN_TEST_OWNED"]).toBeUndefined();
	});

	it("is one file for each workspace: one that is shared with a chosen name and id stands in nobody's place", async () => {
		const documents = host([
			{ doc: workspaceWith("notes", {}), facts: { id: "mine0abcd", name: "Notes" } },
			{ doc: workspaceWith("notes", {}), facts: { id: "hers0abcd", name: "notes" } },
			{ doc: workspaceWith("notes", {}), facts: { id: "mine0efgh", name: "Notes" } },
		]);
		const { tools } = await readWorkspaces(documents, who, deps);
		const files = [...toolsFileNames(tools)].map(([file, { id }]) => [file, id]);
		expect(files).toEqual([
			[expect.stringMatching(/^notes_[0-9a-f]{16}\.js$/), "mine0abcd"],
			[expect.stringMatching(/^notes_[0-9a-f]{16}\.js$/), "hers0abcd"],
			["notes_efgh.js", "mine0efgh"],
		]);
		const offered = (await workspaceTools({ ...deps, documents }, who)).map(({ name }) => name);
		expect([offered.length, new Set(offered).size]).toEqual([15, 15]);
	});

	it("names no tool longer than providers take, and calls each by its own action", async () => {
		const table = "quarterly_customer_satisfaction_survey_responses";
		const documents = host([{ doc: workspaceWith(table, {}), facts: { name: "Customer research of 2031" } }]);
		const offered = await workspaceTools({ ...deps, documents }, who);
		expect(offered).toHaveLength(5);
		for (const { name } of offered) expect(name).toMatch(/^customer_research_of_203_abcd_quarterly\w+$/);
		expect(Math.max(...offered.map(({ name }) => name.length))).toBeLessThanOrEqual(64);
		const create = offered.find(({ description }) => description.startsWith("Adds"));
		expect(await create?.run({})).toMatchObject({ id: expect.any(String) });
		const { tools } = await readWorkspaces(documents, who, deps);
		const [[file, workspace] = ["", tools[0] as (typeof tools)[0]]] = toolsFileNames(tools);
		const text = toolsFile(workspace, file);
		const loaded = (await import(`data:text/javascript,${encodeURIComponent(text)}`)) as object;
		expect(
			Object.keys(loaded)
				.map((each) => `${file.replace(".js", "")}_${each}`)
				.sort(),
		).toEqual(offered.map(({ name }) => name).sort());
		expect(text).toContain(JSON.stringify(`${table}_create`));
	});

	it("is there for each workspace that opens, and fails with one that is only away", async () => {
		const documents = host([
			{ doc: workspaceWith("notes", {}), facts: {} },
			{ doc: new Doc(), facts: { id: "gone" } },
		]);
		const failing = (retryable: boolean): DocumentHost => ({
			...documents,
			open: async (user, id) => {
				if (id !== "gone") return documents.open(user, id);
				throw new WarrenError("unknown_document", "It was deleted meanwhile.", { status: 404, retryable });
			},
		});
		const { tools } = await readWorkspaces(failing(false), who, deps);
		expect(tools.map(({ id }) => id)).toEqual(["workspace-0abcd"]);
		await expect(readWorkspaces(failing(true), who, deps)).rejects.toThrow(/meanwhile/);
	});

	it("has no more tables than a workspace may have, however many its document names", async () => {
		const doc = new Doc();
		for (let table = 0; table <= schemaLimits.maxTables; table++)
			doc.getMap("schema").set(`t${table}`, { columns: {} });
		const { tools } = await readWorkspaces(host([{ doc, facts: { readOnly: true } }]), who, deps);
		expect(tools[0]?.actions).toHaveLength(2 * schemaLimits.maxTables);
	});

	it("of a workspace that is shared for reading only reads, and names no plugins", async () => {
		const doc = workspaceWith("opencode_plugins", { package: { type: "text" } }, { package: "evil" });
		const { tools, plugins } = await readWorkspaces(host([{ doc, facts: { readOnly: true } }]), who, deps);
		expect(tools[0]?.actions.map((each) => each.kind)).toEqual(["query", "query"]);
		expect(plugins).toEqual([]);
	});
});

describe("opencode_plugins", () => {
	it("are packages of the registry, with a version or none, and nothing that is more than that", async () => {
		const columns = { package: { type: "text" }, version: { type: "text" }, enabled: { type: "boolean" } };
		const doc = workspaceWith(
			"opencode_plugins",
			columns,
			{ package: "opencode-one", version: "1.2.3" },
			{ package: "@scope/two" },
			{ package: "off", enabled: false },
			{ package: "/etc/evil.js" },
			{ package: "file:///etc/evil.js" },
			{ package: "https://evil.example/x.tgz" },
			{ package: "git+ssh://evil" },
			{ package: "--registry=http://evil" },
			{ package: "fine", version: "1 --evil" },
		);
		expect((await readWorkspaces(host([{ doc, facts: {} }]), who, deps)).plugins).toEqual([
			"@scope/two",
			"opencode-one@1.2.3",
		]);
	});
});

describe("the agent's folders and configuration", () => {
	it("are its own, private, and say which tools changed", () => {
		using folder = tempFolder("agent");
		const home = new OpencodeHome(folder.file("a"));
		home.prepare();
		expect(home.writeTools(new Map([["one.js", "1"]]))).toBe(true);
		expect(home.writeTools(new Map([["one.js", "1"]]))).toBe(false);
		expect(home.writeTools(new Map([["two.js", "2"]]))).toBe(true);
		const tools = join(home.path, "config", "opencode", "tools");
		expect(readdirSync(tools)).toEqual(["two.js"]);
		expect(statSync(join(tools, "two.js")).mode & 0o777).toBe(0o600);
		expect(readFileSync(join(home.path, "config", "opencode", "package.json"), "utf8")).toContain(
			"@opencode-ai/plugin",
		);
	});

	it("pass on nothing of this process's environment but what a program needs", () => {
		const env = new OpencodeHome("/x").environment({ PATH: "/bin", OPENAI_API_KEY: "sk", WARREN_PIN: "1", LANG: "C" });
		expect(env).toMatchObject({
			PATH: "/bin",
			LANG: "C",
			HOME: join("/x", "home"),
			OPENCODE_DISABLE_PROJECT_CONFIG: "1",
		});
		expect(JSON.stringify(env)).not.toMatch(/sk|WARREN_PIN/);
	});

	it("pass on how the network is reached, and keep loopback off a proxy", () => {
		const outer = { HTTPS_PROXY: "http://proxy:1", NO_PROXY: "corp", npm_config_registry: "http://r", SECRET: "s" };
		expect(new OpencodeHome("/x").environment(outer)).toMatchObject({
			HTTPS_PROXY: "http://proxy:1",
			NO_PROXY: "corp,127.0.0.1,localhost",
			npm_config_registry: "http://r",
		});
		expect(new OpencodeHome("/x").environment({ NO_PROXY: "corp" })).not.toHaveProperty("NO_PROXY");
	});

	it("offer the hub's providers alone, at the relay", () => {
		const config = opencodeConfig({
			relay: "http://127.0.0.1:7",
			secret: "s",
			providers: [
				{ id: "anthropic", name: "Anthropic", configured: true, models: ["claude"] },
				{ id: "openai", name: "OpenAI", configured: false, models: [] },
				{ id: "ollama", name: "Ollama", configured: true, models: ["llama"] },
			],
			plugins: ["p"],
			mcp: {},
		}) as { enabled_providers: string[]; provider: Record<string, { options: object }> };
		expect(config.enabled_providers).toEqual(["anthropic", "ollama"]);
		expect(config.provider["anthropic"]?.options).toEqual({
			apiKey: "s",
			baseURL: "http://127.0.0.1:7/proxy/anthropic/v1",
		});
	});
});
