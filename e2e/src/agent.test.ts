import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import {
	type FakeProvider,
	fakeProvider,
	freePort,
	type SeenRequest,
	type StartedNode,
	startNode,
	tempFolder,
} from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { type Registry, startRegistry } from "./agent/registry.ts";
import { opencodeMissing } from "./opencode.ts";

/** The real coding agent on a real hub's machine, in front of a fake of the providers. */
const missing = opencodeMissing();
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const soon = { timeout: 60_000, interval: 200 };
const home = tempFolder("agent-home");

let fake: FakeProvider;
let node: StartedNode;
let sidecar: string;
let session: string;
let registry: Registry;
let workspace: string;
let toolPrefix: string;

async function local(
	method: string,
	path: string,
	body?: unknown,
	token = session,
): Promise<{ status: number; body: any }> {
	const answer = await fetch(`${sidecar}${path}`, {
		method,
		headers: {
			authorization: `Bearer ${token}`,
			...(body === undefined ? {} : { "content-type": "application/json" }),
		},
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

async function hubCall(method: string, path: string, body?: unknown): Promise<{ status: number; body: any }> {
	const answer = await node.fetch(path, {
		method,
		headers: {
			authorization: `Bearer ${session}`,
			...(body === undefined ? {} : { "content-type": "application/json" }),
		},
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

const ask = async (text: string) => {
	const made = await local("POST", "/api/agent/opencode/session", { title: "a test" });
	return local("POST", `/api/agent/opencode/session/${made.body.id}/message`, {
		model: { providerID: "openai", modelID: "gpt-4.1" },
		parts: [{ type: "text", text }],
	});
};
const textOf = (message: any) =>
	message.parts
		.filter((part: { type: string }) => part.type === "text")
		.map((part: { text: string }) => part.text)
		.join("");
const rows = async () =>
	(await local("GET", `/workspaces/${workspace}/tables/notes/rows`)).body.rows.map(
		(row: { title: string }) => row.title,
	);
const running = () =>
	vi.waitFor(async () => expect((await local("GET", "/api/agent")).body.state).toBe("running"), soon);

/** Programs of this test's own agent: their folders are in their environment. */
function agentProcesses(): number[] {
	return readdirSync("/proc")
		.filter((each) => /^\d+$/.test(each))
		.filter((pid) => {
			try {
				const command = readFileSync(`/proc/${pid}/cmdline`, "utf8");
				return /opencode.*serve/s.test(command) && readFileSync(`/proc/${pid}/environ`, "utf8").includes(home.path);
			} catch {
				// Ended meanwhile, or another user's.
				return false;
			}
		})
		.map(Number);
}

/** Calls the workspace's tool once, then says so. */
function say(request: SeenRequest) {
	const text = request.body.toString();
	if (text.includes("function_call_output")) return { text: "It is done." };
	if (text.includes("please ping") && text.includes('"local_ping"')) return { tool: { name: "local_ping", input: {} } };
	// In a chat the hub runs it; the coding agent's tools take their input in one field.
	if (text.includes("please note"))
		return { tool: { name: `${toolPrefix}_notes_create`, input: { title: "buy bread" } } };
	if (!text.includes("please add")) return { text: "It is done." };
	if (!text.includes(`${toolPrefix}_notes_create`)) return { text: "I have no such tool." };
	return { tool: { name: `${toolPrefix}_notes_create`, input: { input: { title: "buy milk" } } } };
}

/** A plugin that calls somebody at its start, with a key of its own. */
const calling = (origin: string, name: string) => `export const Plugin = async () => {
	await fetch(${JSON.stringify(`${origin}/called`)}, { headers: { authorization: "Bearer key-of-${name}" } });
	return {};
};
`;
const calledBy = (name: string) => ({ path: "/called", authorization: `Bearer key-of-${name}` });

beforeAll(async () => {
	if (missing !== null) return;
	fake = await fakeProvider({ say });
	registry = await startRegistry(home.file("registry"), "warren-e2e-plugin", (origin) => calling(origin, "synced"));
	const plugin = home.file("local-plugin.js");
	writeFileSync(plugin, calling(registry.origin, "local"));
	mkdirSync(home.file("data"), { recursive: true });
	const server = join(import.meta.dirname, "agent", "mcp-server.mjs");
	writeFileSync(
		join(home.file("data"), "agent.json"),
		JSON.stringify({ mcp: { local: { type: "local", command: [process.execPath, server] } }, plugins: [plugin] }),
	);
	const port = await freePort();
	sidecar = `http://127.0.0.1:${port}`;
	node = await startNode({
		command: ["up"],
		name: "atlas",
		pin: null,
		home: home.path,
		env: {
			WARREN_OPENAI_ORIGIN: fake.origin,
			OPENAI_API_KEY: "sk-real-secret",
			OLLAMA_HOST: "",
			WARREN_SIDECAR_PORT: String(port),
			npm_config_registry: registry.origin,
		},
	});
	const signed = await node.fetch("/auth/signup", {
		method: "POST",
		headers: {
			authorization: "",
			"content-type": "application/json",
			"x-warren-setup": (node.setupUrl as string).split("#setup=")[1] as string,
		},
		body: JSON.stringify(person),
	});
	session = ((await signed.json()) as { token: string }).token;
	const made = await local("POST", "/workspaces", {
		name: "Home",
		tables: { notes: { columns: { title: { type: "text", required: true } } } },
	});
	workspace = made.body.id;
	toolPrefix = `home_${workspace.slice(-4)}`;
}, 90_000);

afterAll(async () => {
	await node?.[Symbol.asyncDispose]();
	await fake?.[Symbol.asyncDispose]();
	await registry?.[Symbol.asyncDispose]();
	home[Symbol.dispose]();
});

describe("the coding agent", () => {
	it("starts with its providers at the relay, and holds no key and no session", { timeout: 120_000 }, async (test) => {
		test.skip(missing !== null, missing ?? "");
		expect((await local("GET", "/api/agent")).body).toEqual({ state: "off" });
		expect((await local("POST", "/api/agent/start", {})).status).toBe(200);
		await running();
		const { body } = await local("GET", "/api/agent");
		expect(body.providers.map((each: { id: string }) => each.id)).toEqual(["openai"]);
		expect(JSON.stringify(body)).not.toContain(session);
		const tools = (await local("GET", "/api/agent/opencode/experimental/tool/ids")).body;
		expect(tools).toContain(`${toolPrefix}_notes_create`);
		// What it starts is called as it is itself until it is another program.
		await vi.waitFor(() => expect(agentProcesses()).toHaveLength(1), soon);
		const ours = agentProcesses().map((pid) => readFileSync(`/proc/${pid}/environ`, "utf8"));
		expect(ours[0]).not.toContain(session);
		expect(ours[0]).not.toContain("sk-real-secret");
	});

	it("answers through the hub's proxy, and its tool changes a row of the workspace", {
		timeout: 120_000,
	}, async (test) => {
		test.skip(missing !== null, missing ?? "");
		const answered = await ask("please add a note");
		expect(textOf(answered.body)).toContain("It is done.");
		expect(await rows()).toEqual(["buy milk"]);
		expect(fake.requests.at(-1)?.headers.authorization).toBe("Bearer sk-real-secret");
		const { body } = await hubCall("GET", "/me/usage");
		expect(body.usage[0]).toMatchObject({ provider: "openai" });
	});

	it("a chat that says so has the same tools, run by the hub on the same rows", async (test) => {
		test.skip(missing !== null, missing ?? "");
		const body = { provider: "openai", model: "gpt-4.1", messages: [{ role: "user", content: "please note" }] };
		const events = async (more: object) => {
			const answer = await node.fetch("/ai/chat", {
				method: "POST",
				headers: { authorization: `Bearer ${session}`, "content-type": "application/json" },
				body: JSON.stringify({ ...body, ...more }),
			});
			return answer.text();
		};
		await events({});
		expect(await rows()).toEqual(["buy milk"]);
		expect(await events({ workspaces: true })).toContain("done.");
		expect(await rows()).toEqual(["buy milk", "buy bread"]);
	});

	it("runs this machine's own MCP servers, by agent.json", { timeout: 120_000 }, async (test) => {
		test.skip(missing !== null, missing ?? "");
		const connected = { local: { status: "connected" } };
		await vi.waitFor(
			async () => expect((await local("GET", "/api/agent/opencode/mcp")).body).toMatchObject(connected),
			soon,
		);
		expect(textOf((await ask("please ping")).body)).toContain("It is done.");
		expect(fake.requests.some(({ body }) => body.includes("pong from this machine"))).toBe(true);
	});

	it("OpenCode plugin needs network access: it has it, with a key of its own and none of the hub's", async (test) => {
		test.skip(missing !== null, missing ?? "");
		await vi.waitFor(() => expect(registry.asked).toContainEqual(calledBy("local")), soon);
		expect(JSON.stringify(registry.asked)).not.toMatch(/sk-real-secret|npm_/);
	});

	it("installs the plugins of the synced list, and takes them once it is idle", { timeout: 120_000 }, async (test) => {
		test.skip(missing !== null, missing ?? "");
		const columns = { package: { type: "text", required: true }, version: { type: "text" } };
		const made = await local("POST", "/workspaces", { name: "Agent", tables: { opencode_plugins: { columns } } });
		const path = `/workspaces/${made.body.id}/tables/opencode_plugins/rows`;
		const row = await local("POST", path, { package: "warren-e2e-plugin", version: "1.0.0" });
		expect(row.status).toBe(201);
		const taken = { state: "running", toolsChanged: false, plugins: ["warren-e2e-plugin@1.0.0"] };
		await vi.waitFor(async () => expect((await local("GET", "/api/agent")).body).toMatchObject(taken), soon);
		// What was made from the schemas is made anew with them.
		const tools = (await local("GET", "/api/agent/opencode/experimental/tool/ids")).body;
		expect(tools).toContain(`agent_${made.body.id.slice(-4)}_opencode_plugins_list`);
		// It fetches them when it is first asked something.
		expect(textOf((await ask("hello")).body)).toContain("It is done.");
		await vi.waitFor(() => expect(registry.asked).toContainEqual(calledBy("synced")), soon);
	});

	it("passes on nothing else of its server, and nobody else's session", async (test) => {
		test.skip(missing !== null, missing ?? "");
		for (const [method, path] of [
			["GET", "config"],
			["PATCH", "config"],
			["POST", "session/ses_1/shell"],
			["GET", "file/content?path=/etc/passwd"],
			["POST", "global/upgrade"],
			["POST", "pty"],
			["PUT", "auth/openai"],
		] as const) {
			const answer = await local(method, `/api/agent/opencode/${path}`, method === "GET" ? undefined : {});
			expect([path, answer.status, answer.body.error]).toEqual([path, 403, "path_not_allowed"]);
		}
		expect((await local("GET", "/api/agent", undefined, "z".repeat(32))).status).toBe(401);
		const invited = await hubCall("POST", "/me/invitations", { role: "user" });
		const other = await node.fetch("/auth/signup", {
			method: "POST",
			headers: { authorization: "", "content-type": "application/json" },
			body: JSON.stringify({
				name: "Bob",
				email: "bob@example.test",
				password: person.password,
				invitation: invited.body.code,
			}),
		});
		const { token } = (await other.json()) as { token: string };
		const refused = await local("POST", "/api/agent/start", {}, token);
		expect([refused.status, refused.body.error]).toEqual([403, "not_your_machine"]);
		const unproved = await node.fetch("/api/agent", { headers: { authorization: `Bearer ${session}` } });
		expect(unproved.status, "over the network, this machine's own consent is needed as well").toBe(403);
	});

	it("Session token expires while OpenCode is running: a fresh one counts for the very next call, without a restart", {
		timeout: 120_000,
	}, async (test) => {
		test.skip(missing !== null, missing ?? "");
		const before = (await local("GET", "/api/agent")).body.since;
		const again = await node.fetch("/auth/login", {
			method: "POST",
			headers: { authorization: "", "content-type": "application/json" },
			body: JSON.stringify({ email: person.email, password: person.password }),
		});
		const fresh = ((await again.json()) as { token: string }).token;
		expect((await hubCall("POST", "/auth/sign-out", {})).status).toBe(200);
		session = fresh;
		expect(textOf((await ask("hello")).body)).toContain("It is done.");
		expect((await local("GET", "/api/agent")).body).toMatchObject({ since: before, sessionEnded: false });
	});

	it("is started again when it is killed, with the same conversations; a project's own configuration stays off", {
		timeout: 120_000,
	}, async (test) => {
		test.skip(missing !== null, missing ?? "");
		const callsBefore = registry.asked.length;
		const agents = join(home.path, "data", "agents");
		const [own] = readdirSync(agents);
		const project = join(agents, own as string, ".opencode", "plugins");
		mkdirSync(project, { recursive: true });
		writeFileSync(join(project, "project.js"), calling(registry.origin, "project"));
		const sessions = (await local("GET", "/api/agent/opencode/session")).body.length;
		expect(sessions).toBeGreaterThan(0);
		const [pid] = agentProcesses();
		const { since } = (await local("GET", "/api/agent")).body;
		process.kill(pid as number, "SIGKILL");
		await vi.waitFor(async () => {
			const { body } = await local("GET", "/api/agent");
			expect(body).toMatchObject({ state: "running", since: expect.any(Number) });
			expect(body.since).not.toBe(since);
		}, soon);
		expect((await local("GET", "/api/agent/opencode/session")).body).toHaveLength(sessions);
		expect(textOf((await ask("hello")).body)).toContain("It is done.");
		// Plugins are taken together: once the synced one has called, the project's would have.
		await vi.waitFor(() => expect(registry.asked.slice(callsBefore)).toContainEqual(calledBy("synced")), soon);
		expect(registry.asked).not.toContainEqual(calledBy("project"));
	});

	it("ends with the sidecar, and leaves no process behind", { timeout: 120_000 }, async (test) => {
		test.skip(missing !== null, missing ?? "");
		expect((await local("POST", "/api/agent/stop", {})).body).toEqual({ state: "off" });
		expect((await local("POST", "/api/agent/start", {})).status).toBe(200);
		await running();
		await node.stop();
		expect(agentProcesses()).toEqual([]);
		expect(existsSync(join(home.path, "data", "agents"))).toBe(true);
	});
});
