import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { join } from "node:path";
import { freePort, type StartedCommand, startCommand, tempFolder } from "@warren/testkit";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/**
 * The edge cases that users of a hub and a sidecar meet, on processes. Two devices with the same identifier are in
 * presence.test.ts, a node's own origin in rooms-fallback.test.ts.
 */
const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const waitMs = { timeout: 60_000, interval: 100 };

interface Hub {
	readonly origin: string;
	readonly ca: string;
	readonly session: string;
	command: StartedCommand;
}
interface Desk {
	readonly url: string;
	readonly command: StartedCommand;
}

const running: StartedCommand[] = [];
const agents = new Map<string, Agent>();
const folder = tempFolder("edge");
let home: Hub;
let desk: Desk;

async function call(at: Hub | Desk, method: string, path: string, token: string, body?: unknown) {
	const isHub = "origin" in at;
	const answer = await fetch(`${isHub ? at.origin : at.url}${path}`, {
		method,
		...(isHub ? { dispatcher: agentOf(at.ca) } : {}),
		headers: {
			...(token === "" ? {} : { authorization: `Bearer ${token}` }),
			...(body === undefined ? {} : { "content-type": "application/json" }),
		},
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const text = await answer.text();
	return { status: answer.status, body: text === "" ? null : JSON.parse(text) };
}

function agentOf(ca: string): Agent {
	const agent = agents.get(ca) ?? new Agent({ pipelining: 0, connect: { ca } });
	agents.set(ca, agent);
	return agent;
}

function started(args: readonly string[], at: string, env: Record<string, string> = {}): StartedCommand {
	const command = startCommand(args, { home: at, env });
	running.push(command);
	return command;
}

async function startHub(name: string): Promise<Hub> {
	const port = await freePort();
	const command = started(
		["hub", "--name", name, "--host", "127.0.0.1", "--port", String(port), "--json"],
		folder.file(name),
	);
	const { setupUrl } = await command.line<{ setupUrl: string }>();
	const ca = readFileSync(join(command.data, "ca/ca.crt"), "utf8");
	const origin = `https://127.0.0.1:${port}`;
	const signed = await fetch(`${origin}/auth/signup`, {
		method: "POST",
		dispatcher: agentOf(ca),
		headers: { "content-type": "application/json", "x-warren-setup": setupUrl.split("#setup=")[1] as string },
		body: JSON.stringify(person),
	});
	const { token } = (await signed.json()) as { token: string };
	return { origin, ca, session: token, command };
}

async function restartHub(hub: Hub): Promise<void> {
	const { port } = new URL(hub.origin);
	hub.command = started(["hub", "--host", "127.0.0.1", "--port", port, "--json"], hub.command.home);
	await hub.command.line();
}

/** `warren login`, approved by a session of the hub's. @param where its address, unless told. @param cloud the built-in hub. */
async function login(hub: Hub, at: string, where: readonly string[] = [hub.origin], cloud?: Hub): Promise<string> {
	const { fingerprint256 } = new X509Certificate(hub.ca);
	const env: Record<string, string> = cloud === undefined ? {} : { WARREN_CLOUD_URL: cloud.origin };
	const command = started(["login", ...where, "--fingerprint", fingerprint256, "--json"], at, env);
	const { userCode } = await command.line<{ userCode: string }>();
	await call(hub, "GET", `/auth/device?user_code=${userCode}`, hub.session);
	await call(hub, "POST", "/auth/device/approve", hub.session, { userCode });
	await command.line();
	await command.exited;
	return (JSON.parse(readFileSync(join(command.data, "login.json"), "utf8")) as { token: string }).token;
}

async function startDesk(): Promise<Desk> {
	const command = started(["sidecar", "--name", "desk", "--port", "0", "--json"], folder.file("desk"));
	const { url } = await command.line<{ url: string }>();
	return { url, command };
}

const title = async (at: Hub | Desk, id: string, token: string) =>
	(await call(at, "GET", `/rooms/${id}`, token)).body.title;
const books = { columns: { title: { type: "text", required: true } } };
async function add(at: Desk, workspace: string, token: string, text: string): Promise<number> {
	return (await call(at, "POST", `/workspaces/${workspace}/tables/books/rows`, token, { title: text })).status;
}
async function contents(hub: Hub, id: string): Promise<string> {
	const answer = await call(hub, "GET", `/rooms/${id}/export?format=json`, hub.session);
	return answer.status === 200 ? JSON.stringify(answer.body) : "";
}

let token: string;
let workspace: string;
beforeAll(async () => {
	home = await startHub("home");
	token = await login(home, folder.file("desk"));
	desk = await startDesk();
	const made = await call(desk, "POST", "/workspaces", token, { name: "Library", tables: { books } });
	workspace = made.body.id as string;
	expect(await add(desk, workspace, token, "Before")).toBe(201);
}, 300_000);
afterAll(async () => {
	for (const each of running.reverse()) await each[Symbol.asyncDispose]();
	for (const agent of agents.values()) await agent.destroy();
	folder[Symbol.dispose]();
});

describe("the hub server goes down", () => {
	it("desktop: local work goes on, over a restart of the sidecar too, and nobody unknown enters", async () => {
		await expect.poll(() => contents(home, workspace), waitMs).toContain("Before");
		await home.command.kill("SIGKILL");
		expect(await add(desk, workspace, token, "Alone")).toBe(201);
		// The session is believed to its own end, also by a process that never saw the hub.
		await desk.command.kill("SIGKILL");
		desk = await startDesk();
		expect(await add(desk, workspace, token, "After a restart")).toBe(201);
		const stranger = await call(desk, "GET", "/rooms", "x".repeat(32));
		expect([stranger.status, stranger.body.error]).toEqual([503, "unavailable"]);
	}, 180_000);

	it("mobile: whoever has only the hub is told nothing false; there is no answer at all", async () => {
		await expect(call(home, "GET", "/rooms", home.session)).rejects.toThrow();
	});

	it("recovery: everything merges by itself, after one outage as after the next", async () => {
		await restartHub(home);
		await expect.poll(() => contents(home, workspace), { ...waitMs, timeout: 70_000 }).toContain("After a restart");
		expect(await contents(home, workspace)).toContain("Alone");
		await home.command.kill("SIGKILL");
		expect(await add(desk, workspace, token, "Second outage")).toBe(201);
		await restartHub(home);
		await expect.poll(() => contents(home, workspace), { ...waitMs, timeout: 70_000 }).toContain("Second outage");
	}, 180_000);
});

describe("the desktop is on a different network than the hub", () => {
	it("starts without it, works on what it has, and comes in step when it is reachable", async () => {
		await desk.command.kill("SIGTERM");
		// As far as this machine can tell, that is what another network is: nobody answers at the hub's address.
		await home.command.kill("SIGKILL");
		desk = await startDesk();
		expect(await add(desk, workspace, token, "On the train")).toBe(201);
		await restartHub(home);
		await expect.poll(() => contents(home, workspace), { ...waitMs, timeout: 70_000 }).toContain("On the train");
	}, 120_000);
});

describe("a session ends while the sidecar runs", () => {
	it("a revoked one syncs nothing more; the next sign-in goes on with what was made meanwhile", async () => {
		// A session that the sidecar asked about just now: its five minutes have begun.
		token = await login(home, folder.file("desk"));
		expect(await add(desk, workspace, token, "Signed in")).toBe(201);
		const { devices } = (await call(home, "GET", "/me/devices", home.session)).body as {
			devices: { id: string; current: boolean }[];
		};
		for (const { id } of devices.filter((each) => !each.current))
			expect((await call(home, "DELETE", `/me/devices/${id}`, home.session)).status).toBe(204);
		expect((await call(home, "GET", "/me", token)).status).toBe(401);
		// The sidecar asks again only when they are over; the hub has cut what it had open there.
		expect(await add(desk, workspace, token, "While revoked")).toBe(201);
		expect(await contents(home, workspace)).not.toContain("While revoked");
		token = await login(home, folder.file("desk"));
		expect(await add(desk, workspace, token, "Signed in again")).toBe(201);
		await expect.poll(() => contents(home, workspace), waitMs).toContain("Signed in again");
		expect(await contents(home, workspace)).toContain("While revoked");
	}, 180_000);
});

describe("the user switches to another hub", () => {
	it("documents stay on the machine and merge into the new hub; the old one keeps its own", async () => {
		const cloud = await startHub("cloud");
		expect(
			(await call(cloud, "POST", "/rooms", cloud.session, { id: "cloud-note", title: "In the cloud" })).status,
		).toBe(201);
		// The built-in hub: `--cloud` from one's own, and first of all where no hub is known.
		token = await login(cloud, folder.file("desk"), ["--cloud"], cloud);
		await desk.command.kill("SIGTERM");
		desk = await startDesk();
		await expect.poll(() => contents(cloud, workspace), waitMs).toContain("On the train");
		expect(await title(cloud, workspace, cloud.session)).toBe("Library");
		await expect.poll(() => title(desk, "cloud-note", token), waitMs).toBe("In the cloud");
		expect(await add(desk, workspace, token, "In the new place")).toBe(201);
		await expect.poll(() => contents(cloud, workspace), waitMs).toContain("In the new place");
		expect(await contents(home, workspace)).not.toContain("In the new place");
		expect(await contents(home, workspace)).toContain("Before");

		// And back: what each hub had, and what was made meanwhile, is all on the machine and at its hub.
		await call(home, "POST", "/rooms", home.session, { id: "home-note", title: "At home" });
		token = await login(home, folder.file("desk"));
		await desk.command.kill("SIGTERM");
		desk = await startDesk();
		await expect.poll(() => contents(home, workspace), waitMs).toContain("In the new place");
		await expect.poll(() => title(desk, "home-note", token), waitMs).toBe("At home");
		await expect.poll(() => title(home, "cloud-note", home.session), waitMs).toBe("In the cloud");
	}, 180_000);

	it("a machine that knows no hub is offered the built-in one first, and one of its own when that is named", async () => {
		const cloud = await startHub("another-cloud");
		const fresh = folder.file("fresh");
		await login(cloud, fresh, [], cloud);
		const kept = () => JSON.parse(readFileSync(join(fresh, "data/login.json"), "utf8")) as { hubUrl: string };
		expect(kept().hubUrl).toBe(cloud.origin);
		await login(home, fresh, [home.origin], cloud);
		expect(kept().hubUrl).toBe(home.origin);
		// Kept on this device: without a name it is its own again, not the cloud.
		await login(home, fresh, [], cloud);
		expect(kept().hubUrl).toBe(home.origin);
		const none = started(["login", "--cloud"], folder.file("none"));
		expect(await none.exited).not.toBe(0);
		expect(none.log()).toContain("no cloud hub");
	}, 180_000);
});
