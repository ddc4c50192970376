import { freePort, type StartedNode, startNode } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** The sidecar of a joined machine: local windows, background sync with the hub, and the hub gone in the middle. */
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const books = { columns: { title: { type: "text", required: true } } };
const waitMs = { timeout: 60_000, interval: 100 };

let first: StartedNode;
let second: StartedNode;
let session: string;
/** Bases of the two sidecars. */
let atHub: string;
let atMember: string;

async function call(
	method: string,
	url: string,
	body?: unknown,
	headers: Record<string, string> = { authorization: `Bearer ${session}` },
): Promise<{ status: number; body: any; headers: Headers }> {
	const answer = await fetch(url, {
		method,
		headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	return { status: answer.status, body: text === "" ? null : JSON.parse(text), headers: answer.headers };
}

async function titles(base: string, workspace: string): Promise<string[]> {
	const { status, body } = await call("GET", `${base}/workspaces/${workspace}/tables/books/rows`);
	return status === 200 ? body.rows.map((row: { title: string }) => row.title) : [];
}

/** As its own pages have it, by its name; the hub is known by the address that was joined. */
const originOf = (node: StartedNode) => new URL(node.url).origin;

beforeAll(async () => {
	const [hubPort, memberPort] = [await freePort(), await freePort()];
	atHub = `http://127.0.0.1:${hubPort}`;
	atMember = `http://127.0.0.1:${memberPort}`;
	first = await startNode({ command: ["up"], name: "atlas", pin: null, env: { WARREN_SIDECAR_PORT: String(hubPort) } });
	const signed = await first.fetch("/auth/signup", {
		method: "POST",
		headers: {
			authorization: "",
			"content-type": "application/json",
			"x-warren-setup": (first.setupUrl as string).split("#setup=")[1] as string,
		},
		body: JSON.stringify(person),
	});
	session = ((await signed.json()) as { token: string }).token;
	const invited = await first.fetch("/v1/invites", {
		method: "POST",
		headers: { authorization: `Bearer ${session}`, "content-type": "application/json" },
		body: "{}",
	});
	const { code } = (await invited.json()) as { code: string };
	second = await startNode({
		command: ["join", first.origin],
		name: "burrow",
		user: "bob",
		pin: "bobs-pin-1",
		env: { WARREN_JOIN_CODE: code, WARREN_SIDECAR_PORT: String(memberPort) },
	});
});
afterAll(async () => {
	await second?.[Symbol.asyncDispose]();
	await first?.[Symbol.asyncDispose]();
});

describe("a sidecar", () => {
	let workspace: string;

	it("says what it is, and gives a random website nothing", async () => {
		expect((await call("GET", `${atMember}/`, undefined, {})).body).toMatchObject({ roles: ["sidecar"] });
		expect((await call("GET", `${atMember}/workspaces`, undefined, {})).status).toBe(401);
		const evil = { authorization: `Bearer ${session}`, origin: "https://evil.example" };
		const posted = await call("POST", `${atMember}/workspaces`, { name: "x" }, evil);
		expect([posted.status, posted.headers.get("access-control-allow-origin")]).toEqual([403, null]);
		expect(
			(await call("GET", `${atMember}/workspaces`, undefined, evil)).headers.get("access-control-allow-origin"),
		).toBeNull();
		const windows = ["tauri://localhost", "http://tauri.localhost", "https://tauri.localhost"];
		for (const origin of [...windows, first.origin, originOf(second)]) {
			const window = await call("GET", `${atMember}/workspaces`, undefined, { ...evil, origin });
			expect([window.status, window.headers.get("access-control-allow-origin")]).toEqual([200, origin]);
		}
		const strangers = ["null", "tauri://evil", "https://tauri.localhost.evil.example", "http://localhost:3000"];
		for (const origin of [...strangers, first.origin.replace("https", "http"), `${originOf(second)}0`]) {
			const stranger = await call("POST", `${atMember}/workspaces`, { name: "x" }, { ...evil, origin });
			expect([stranger.status, stranger.headers.get("access-control-allow-origin"), origin]).toEqual([
				403,
				null,
				origin,
			]);
		}
		for (const path of ["/auth/login", "/ai/chat", "/proxy/openai/v1/models", "/me"])
			expect((await call("POST", `${atMember}${path}`, {})).status).toBe(404);
	});

	it("keeps a workspace whose rows reach the hub in the background", async () => {
		const made = await call("POST", `${atMember}/workspaces`, { name: "Library", tables: { books } });
		expect(made.status).toBe(201);
		workspace = made.body.id;
		expect((await call("POST", `${atMember}/workspaces/${workspace}/tables/books/rows`, { title: "One" })).status).toBe(
			201,
		);
		expect((await call("POST", `${atMember}/workspaces/${workspace}/tables/books/rows`, { pages: 3 })).status).toBe(
			400,
		);
		await expect.poll(() => titles(atHub, workspace), waitMs).toEqual(["One"]);
	}, 120_000);

	it("goes on while the hub is gone, and both sides' rows are there when it is back", async () => {
		await first.kill("SIGKILL");
		expect(
			(await call("POST", `${atMember}/workspaces/${workspace}/tables/books/rows`, { title: "Alone" })).status,
		).toBe(201);
		expect(
			(await call("GET", `${atMember}/workspaces`, undefined, { authorization: "Bearer nobody" })).status,
		).toBeGreaterThanOrEqual(401);
		first = await startNode({
			command: ["up"],
			name: "atlas",
			pin: null,
			home: first.home,
			port: first.port,
			env: { WARREN_SIDECAR_PORT: new URL(atHub).port },
		});
		expect(
			(await call("POST", `${atHub}/workspaces/${workspace}/tables/books/rows`, { title: "Meanwhile" })).status,
		).toBe(201);
		const all = ["Alone", "Meanwhile", "One"];
		await expect.poll(async () => (await titles(atHub, workspace)).sort(), { ...waitMs, timeout: 70_000 }).toEqual(all);
		await expect.poll(async () => (await titles(atMember, workspace)).sort(), waitMs).toEqual(all);
	}, 120_000);
});
