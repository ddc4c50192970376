import { spawn } from "node:child_process";
import { fileURLToPath } from "node:url";
import { type FakeProvider, fakeProvider, type StartedNode, startNode, tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";

/** AI of a real hub and through a joined machine, in front of a fake of the providers. */
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const chat = { model: "m", messages: [{ role: "user", content: "hi" }] };
const main = fileURLToPath(new URL("../../apps/warren/src/main.js", import.meta.url));

let fake: FakeProvider;
let hub: StartedNode;
let member: StartedNode;
let session: string;
const home = tempFolder("hub");

function env(origin: string): Record<string, string> {
	return { WARREN_OPENAI_ORIGIN: origin, WARREN_ANTHROPIC_ORIGIN: origin, OLLAMA_HOST: "", WARREN_SIDECAR_PORT: "0" };
}

async function call(
	node: StartedNode,
	method: string,
	path: string,
	body?: unknown,
	headers: Record<string, string> = {},
): Promise<{ status: number; body: any; text: string; headers: Headers }> {
	const answer = await node.fetch(path, {
		method,
		headers: {
			authorization: `Bearer ${session}`,
			...(body === undefined ? {} : { "content-type": "application/json" }),
			...headers,
		},
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	const json = /json/.test(answer.headers.get("content-type") ?? "");
	return { status: answer.status, body: json ? JSON.parse(text) : null, text, headers: answer.headers as never };
}

function warren(args: readonly string[], input: string): Promise<{ code: number | null; out: string }> {
	return new Promise((resolve) => {
		const child = spawn(process.execPath, [main, ...args], { stdio: ["pipe", "pipe", "pipe"] });
		let out = "";
		for (const stream of [child.stdout, child.stderr]) stream.on("data", (chunk) => (out += String(chunk)));
		child.once("close", (code) => resolve({ code, out }));
		child.stdin.end(input);
	});
}

beforeAll(async () => {
	fake = await fakeProvider();
	hub = await startNode({ command: ["up"], name: "atlas", pin: null, home: home.path, env: env(fake.origin) });
	const signed = await hub.fetch("/auth/signup", {
		method: "POST",
		headers: {
			authorization: "",
			"content-type": "application/json",
			"x-warren-setup": (hub.setupUrl as string).split("#setup=")[1] as string,
		},
		body: JSON.stringify(person),
	});
	session = ((await signed.json()) as { token: string }).token;
	const { body } = await call(hub, "POST", "/v1/invites", {});
	member = await startNode({
		command: ["join", hub.origin],
		name: "burrow",
		user: "bob",
		pin: "bobs-pin-1",
		env: { ...env(fake.origin), WARREN_JOIN_CODE: body.code },
	});
}, 180_000);

afterAll(async () => {
	await member?.[Symbol.asyncDispose]();
	await hub?.[Symbol.asyncDispose]();
	await fake?.[Symbol.asyncDispose]();
	home[Symbol.dispose]();
});

describe("AI of a hub", () => {
	it("has no key until `warren keys set`, which counts at once, and shows it to nobody", async () => {
		const before = await call(hub, "POST", "/proxy/openai/v1/chat/completions", chat);
		expect([before.status, before.body.error]).toEqual([401, "no_provider_key"]);
		const set = await warren(["keys", "set", "openai", "--data", hub.data], "sk-real-secret\n");
		expect(set).toMatchObject({ code: 0, out: expect.stringContaining("OpenAI's key is set") });
		const after = await call(hub, "POST", "/proxy/openai/v1/chat/completions", chat);
		expect([after.status, after.headers.get("x-warren-upstream")]).toEqual([200, "openai"]);
		expect(fake.requests.at(-1)?.headers.authorization).toBe("Bearer sk-real-secret");
		const list = await warren(["keys", "list", "--data", hub.data], "");
		expect(list.out).toMatch(/openai +OPENAI_API_KEY +yes/);
		for (const text of [set.out, list.out, hub.log()]) expect(text).not.toContain("sk-real-secret");
		expect((await warren(["keys", "set", "acme", "--data", hub.data], "x")).code).toBe(1);
		expect((await warren(["keys", "set", "openai", "--data", hub.data], "")).out).toMatch(/held no key/);
		expect((await warren(["keys", "set", "ollama", "--data", hub.data], "x")).out).toMatch(/takes no key/);
	});

	it("is on every machine's own address, streamed, with the same session", async () => {
		const streamed = await call(member, "POST", "/proxy/openai/v1/chat/completions", { ...chat, stream: true });
		expect(streamed.text).toBe(fake.lastBody().toString());
		const answer = await call(member, "POST", "/ai/chat", { ...chat, provider: "openai" });
		expect(answer.text).toContain("RUN_FINISHED");
		// An answer is counted once it has ended over there.
		const counted = async () => (await call(member, "GET", "/me/usage")).body.usage[0].requests;
		await expect.poll(counted).toBeGreaterThanOrEqual(3);
	});

	it("a client that leaves a joined machine closes the provider's connection", async () => {
		const leaving = new AbortController();
		const answer = await member.fetch("/proxy/openai/v1/chat/completions", {
			method: "POST",
			headers: { authorization: `Bearer ${session}`, "content-type": "application/json" },
			body: JSON.stringify({ ...chat, model: "fault-slow", stream: true }),
			signal: leaving.signal,
		});
		expect(answer.status).toBe(200);
		const closed = fake.nextAbandoned();
		leaving.abort();
		await closed;
	});

	it("an API key is a device of its own, with its own budget", async () => {
		const made = await call(hub, "POST", "/auth/api-key/create", { name: "ci" });
		const key = made.body.key as string;
		expect(key).toMatch(/^wk_/);
		const withKey = { authorization: "", "x-api-key": key };
		const first = await hub.fetch("/proxy/openai/v1/chat/completions", {
			method: "POST",
			headers: { ...withKey, "content-type": "application/json" },
			body: JSON.stringify(chat),
		});
		expect(first.status).toBe(200);
		const devices = async () => {
			const rows = (await call(hub, "GET", "/me/usage")).body.usage as { deviceId: string }[];
			return new Set(rows.map((row) => row.deviceId)).size;
		};
		await expect.poll(devices).toBe(2);
	});

	it("answers 503 with Retry-After at a machine whose hub is away, and resumes when it is back", async () => {
		await hub.stop();
		const away = await call(member, "POST", "/proxy/openai/v1/chat/completions", chat);
		expect([away.status, away.body.error]).toEqual([503, "hub_away"]);
		expect(Number(away.headers.get("retry-after"))).toBeGreaterThan(0);
		hub = await startNode({
			command: ["up"],
			name: "atlas",
			pin: null,
			home: home.path,
			port: hub.port,
			env: env(fake.origin),
		});
		await vi.waitFor(
			async () => expect((await call(member, "POST", "/proxy/openai/v1/chat/completions", chat)).status).toBe(200),
			{ timeout: 60_000, interval: 200 },
		);
	});
});
