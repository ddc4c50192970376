import { readFileSync, statSync } from "node:fs";
import { join } from "node:path";
import { systemClock } from "@warren/kernel";
import { dialWebSocket } from "@warren/net";
import { type StartedCommand, startCommand, startNode } from "@warren/testkit";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** A hub and a sidecar, each alone in a process, and the command line that signs in between them. */
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const local = ["--host", "127.0.0.1", "--port", "0", "--json"];

interface HubReady {
	readonly url: string;
	readonly setupUrl: string | null;
	readonly caFingerprint: string;
}
interface SidecarReady {
	readonly url: string;
	readonly user: string | null;
}

let hub: StartedCommand;
let ready: HubReady;
let origin: string;
let agent: Agent;
let session: string;
let desk: StartedCommand;

async function call(
	method: string,
	url: string,
	body?: unknown,
	headers: Record<string, string> = session === undefined ? {} : { authorization: `Bearer ${session}` },
): Promise<{ status: number; body: any }> {
	const answer = await fetch(url, {
		method,
		dispatcher: agent,
		headers: { ...(body === undefined ? {} : { "content-type": "application/json" }), ...headers },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

async function finished(args: readonly string[], home: string) {
	const command = startCommand(args, { home });
	const line = await command.line<any>().catch(() => null);
	return { line, code: await command.exited, log: command.log() };
}

/** Runs `warren login` and approves it, as a person does on another screen. */
async function login(home: string, args: readonly string[]) {
	const command = startCommand(["login", ...args, "--json"], { home });
	const { userCode, verificationUriComplete } = await command.line<any>();
	expect(verificationUriComplete).toBe(`${origin}/#device=${userCode}`);
	const looked = await call("GET", `${origin}/auth/device?user_code=${userCode}`);
	expect(looked.status).toBe(200);
	expect((await call("POST", `${origin}/auth/device/approve`, { userCode })).status).toBe(200);
	const done = await command.line<any>();
	expect(await command.exited).toBe(0);
	return done;
}

beforeAll(async () => {
	hub = startCommand(["hub", "--name", "atlas", "--workspaces", ...local]);
	ready = await hub.line<HubReady>();
	origin = `https://127.0.0.1:${new URL(ready.url).port}`;
	agent = new Agent({ pipelining: 0, connect: { ca: readFileSync(join(hub.data, "ca/ca.crt"), "utf8") } });
});
afterAll(async () => {
	await desk?.[Symbol.asyncDispose]();
	await hub?.[Symbol.asyncDispose]();
	await agent?.destroy();
});

describe("a hub alone", () => {
	it("says what it is at /, and its first account takes the printed link", async () => {
		const headers = { accept: "application/json" };
		expect((await call("GET", `${origin}/`, undefined, headers)).body).toMatchObject({
			app: "warren",
			roles: ["hub"],
			capabilities: ["accounts", "sync", "ai", "workspace"],
		});
		const secret = { "x-warren-setup": (ready.setupUrl as string).split("#setup=")[1] as string };
		expect((await call("POST", `${origin}/auth/signup`, person, {})).status).toBe(403);
		const signed = await call("POST", `${origin}/auth/signup`, person, secret);
		expect(signed.status).toBe(200);
		session = signed.body.token;
		expect((await call("POST", `${origin}/auth/signup`, { ...person, email: "eve@example.test" }, secret)).status).toBe(
			403,
		);
	});

	it("serves documents and, when asked to, workspaces; its console reaches it from this machine", async () => {
		expect((await call("POST", `${origin}/rooms`, { id: "plan", title: "Plan" })).status).toBe(201);
		expect((await call("POST", `${origin}/workspaces`, { name: "Library", tables: {} })).status).toBe(201);
		const status = await finished(["status", "--json"], hub.home);
		expect(status.line).toMatchObject({ node: { name: "atlas" }, roles: [{ name: "hub", state: "running" }] });
		expect((await finished(["invite", "--json"], hub.home)).line.code).toMatch(/^wj_/);
		expect((await call("GET", `${origin}/api/status`)).status).toBe(200);
		const metrics = await fetch(`${origin}/metrics`, {
			dispatcher: agent,
			headers: { authorization: `Bearer ${session}` },
		});
		expect(await metrics.text()).toMatch(/^warren_sync_open_rooms \d+$/m);
	});

	it("lets a command line in by a code, and only where its CA was checked", async () => {
		desk = startCommand(["sidecar", "--hub", origin, "--name", "desk", "--port", "0", "--json"]);
		const started = await desk.line<SidecarReady>();
		expect(started.user).toBeNull();

		const blind = await finished(["login", origin], desk.home);
		expect([blind.code, blind.log]).toEqual([1, expect.stringContaining("--fingerprint")]);
		const wrong = await finished(["login", origin, "--fingerprint", "00".repeat(32)], desk.home);
		expect([wrong.code, wrong.log]).toEqual([1, expect.stringContaining(ready.caFingerprint)]);

		const done = await login(desk.home, [origin, "--fingerprint", ready.caFingerprint]);
		expect(done).toMatchObject({ state: "signed-in", hubUrl: origin, user: { email: person.email } });
		const file = join(desk.data, "login.json");
		expect(statSync(file).mode & 0o777).toBe(0o600);
		const { token } = JSON.parse(readFileSync(file, "utf8"));
		expect([desk.log(), hub.log()].join("")).not.toContain(token);
		const who = await finished(["whoami", "--json"], desk.home);
		expect(who.line).toMatchObject({ online: true, user: { email: person.email, role: "owner" } });
	}, 180_000);

	it("keeps a sidecar in step, which syncs for whoever ran warren login", async () => {
		// The hub's CA came with the login: a sidecar that was told only an address could not check it.
		await desk.kill("SIGTERM");
		desk = startCommand(["sidecar", "--name", "desk", "--port", "0", "--json"], { home: desk.home });
		const started = await desk.line<SidecarReady>();
		expect(started.user).toBe(person.email);
		const discovery = await call("GET", `${started.url}/`, undefined, {});
		expect(discovery.body).toMatchObject({ app: "warren", roles: ["sidecar"], capabilities: ["sync", "workspace"] });
		const ids = async () => (await call("GET", `${started.url}/rooms`)).body.rooms?.map((each: any) => each.id) ?? [];
		await expect.poll(ids, { timeout: 60_000, interval: 100 }).toContain("plan");
		expect((await call("POST", `${started.url}/rooms`, { id: "from-desk", title: "From the desk" })).status).toBe(201);
		const atHub = async () => (await call("GET", `${origin}/rooms/from-desk`)).body.title;
		await expect.poll(atHub, { timeout: 60_000, interval: 100 }).toBe("From the desk");
		// Told: by themselves the lists are compared once a minute.
		expect((await call("PATCH", `${origin}/rooms/from-desk`, { title: "Renamed at the hub" })).status).toBe(200);
		const here = async () => (await call("GET", `${started.url}/rooms/from-desk`)).body.title;
		await expect.poll(here, { timeout: 30_000, interval: 100 }).toBe("Renamed at the hub");
	}, 120_000);

	it("takes machines in, which show its pages and lists on their own origins; it is no node itself", async () => {
		const { code } = (await finished(["invite", "--json"], hub.home)).line;
		await using node = await startNode({
			command: ["join", origin],
			name: "burrow",
			env: { WARREN_JOIN_CODE: code, WARREN_SIDECAR_PORT: "0" },
		});
		const bearer = { authorization: `Bearer ${session}` };
		const machines = async () =>
			((await (await node.fetch("/v1/machines", { headers: bearer })).json()) as { machines: object[] }).machines;
		await expect.poll(machines).toMatchObject([{ name: "burrow", online: true, hub: false }]);
		expect((await node.fetch("/me", { headers: bearer })).status).toBe(200);
		for (const path of ["/admin", "/openapi", "/openapi/json"])
			expect((await node.fetch(path, { headers: { authorization: "" } })).status, path).toBe(200);
		expect(((await (await node.fetch("/api/peers")).json()) as { peers: unknown[] }).peers).toEqual([]);
		expect(await node.stop()).toBe(0);
	}, 180_000);

	it("tells live documents to come back when it stops, before it hangs up on anybody", async () => {
		const dialled = await dialWebSocket(`${origin.replace("https", "wss")}/rooms/plan/sync`, systemClock, {
			headers: { authorization: `Bearer ${session}` },
			tls: { ca: readFileSync(join(hub.data, "ca/ca.crt"), "utf8") },
		});
		if (!dialled.ok) throw new Error(dialled.message);
		dialled.connection.onMessage(() => {});
		const closed = new Promise((resolve) => dialled.connection.onClose((code, reason) => resolve([code, reason])));
		expect(await hub.kill("SIGTERM")).toBe(0);
		expect(await closed).toEqual([1012, expect.stringContaining('"draining"')]);
		hub = startCommand(["hub", "--host", "127.0.0.1", "--port", new URL(origin).port, "--json"], { home: hub.home });
		await hub.line();
	}, 180_000);

	it("goes on as the same hub after a kill -9, and ends a session that is logged out", async () => {
		await hub.kill("SIGKILL");
		const away = await finished(["whoami", "--json"], desk.home);
		expect(away.line).toMatchObject({ online: false, user: { email: person.email } });
		const port = new URL(origin).port;
		const again = ["hub", "--name", "atlas", "--host", "127.0.0.1", "--port", port, "--json"];
		hub = startCommand(again, { home: hub.home });
		expect((await hub.line<HubReady>()).setupUrl).toBeNull();
		expect((await call("GET", `${origin}/rooms/plan`)).body.title).toBe("Plan");
		const { token } = JSON.parse(readFileSync(join(desk.data, "login.json"), "utf8"));
		const bearer = { authorization: `Bearer ${token}` };
		expect((await call("GET", `${origin}/me`, undefined, bearer)).status).toBe(200);
		expect((await finished(["logout", "--json"], desk.home)).line).toMatchObject({ ended: true });
		expect((await call("GET", `${origin}/me`, undefined, bearer)).status).toBe(401);
		const nobody = await finished(["whoami"], desk.home);
		expect([nobody.code, nobody.log]).toEqual([1, expect.stringContaining("warren login")]);
	}, 180_000);
});
