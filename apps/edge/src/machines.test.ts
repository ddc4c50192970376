import { readFileSync } from "node:fs";
import { join } from "node:path";
import { startCommand, tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { bearer, type HubUnderTest, openEdge, stockClient } from "./edge.testing.ts";

/** The runtime and the commands start as fast as the machine lets them. */
const patient = { timeout: 240_000 };

describe("a machine whose hub lives on Workers", patient, () => {
	const folder = tempFolder("edge-machine");
	const home = folder.file("home");
	let edge: HubUnderTest;
	let ada: string;
	beforeAll(async () => {
		edge = await openEdge();
		ada = await edge.owner();
	}, patient.timeout);
	afterAll(async () => {
		await edge?.[Symbol.asyncDispose]();
		folder[Symbol.dispose]();
	});

	const finished = async (args: readonly string[], env: Readonly<Record<string, string>> = {}) => {
		const command = startCommand(args, { home, env });
		const line = await command.line<any>().catch(() => null);
		return { line, code: await command.exited, log: command.log() };
	};
	const token = () => (JSON.parse(readFileSync(join(home, "data/login.json"), "utf8")) as { token: string }).token;

	it("signs in by a code that is approved on another screen, says who it is, and is one of the person's devices", async () => {
		const command = startCommand(["login", edge.origin, "--json"], { home });
		const waiting = await command.line<{ userCode: string }>();
		await edge.call("GET", `/auth/device?user_code=${waiting.userCode}`, undefined, bearer(ada));
		const approved = await edge.call("POST", "/auth/device/approve", { userCode: waiting.userCode }, bearer(ada));
		expect(approved.status, JSON.stringify(approved.body)).toBe(200);
		expect(await command.line()).toMatchObject({ state: "signed-in", user: { email: "ada@example.test" } });
		expect(await command.exited).toBe(0);
		expect(await finished(["whoami", "--json"])).toMatchObject({
			code: 0,
			line: { online: true, hubUrl: edge.origin, user: { role: "owner" } },
		});
		const { body } = await edge.call("GET", "/me/devices", undefined, bearer(ada));
		expect(body.devices.map((each: { name: string }) => each.name).join()).toMatch(/warren on/);
	});

	it("keeps its documents in step both ways, a socket each: this hub has none for many", async () => {
		expect(await refusedUpgrade(`${edge.wsUrl}/rooms`, ada)).toBe(405);
		using page = stockClient(edge, "from-a-page", ada);
		await page.synced();
		page.doc.getText("t").insert(0, "written at the hub");
		await expect
			.poll(async () => (await edge.call("GET", "/rooms/from-a-page", undefined, bearer(ada))).status)
			.toBe(200);
		const command = startCommand(["sidecar", "--port", "0", "--json"], { home });
		try {
			const { url } = await command.line<{ url: string }>();
			const sidecar = async (method: string, path: string, body?: object) => {
				const answer = await fetch(`${url}${path}`, {
					method,
					headers: { ...bearer(token()), "content-type": "application/json" },
					...(body === undefined ? {} : { body: JSON.stringify(body) }),
				});
				return { status: answer.status, body: (await answer.json()) as any };
			};
			const made = await sidecar("POST", "/workspaces", {
				name: "Library",
				tables: { books: { columns: { title: { type: "text", required: true } } } },
			});
			expect(made.status, JSON.stringify(made.body)).toBe(201);
			const { id } = made.body as { id: string };
			expect((await sidecar("POST", `/workspaces/${id}/tables/books/rows`, { title: "One" })).status).toBe(201);
			const atHub = async () =>
				JSON.stringify((await edge.call("GET", `/rooms/${id}/export?format=json`, undefined, bearer(ada))).body);
			await expect.poll(atHub, { timeout: 60_000 }).toContain("One");
			const here = async () => JSON.stringify((await sidecar("GET", "/rooms/from-a-page/export?format=json")).body);
			await expect.poll(here, { timeout: 60_000 }).toContain("written at the hub");
			page.doc.getText("t").insert(18, ", and more");
			await expect.poll(here, { timeout: 60_000 }).toContain("written at the hub, and more");
			// Sooner than the lists are compared by themselves.
			await edge.call("POST", "/rooms", { id: "made-at-the-hub", title: "Made at the hub" }, bearer(ada));
			const titles = async () => JSON.stringify((await sidecar("GET", "/rooms")).body);
			await expect.poll(titles, { timeout: 30_000 }).toContain("Made at the hub");
		} finally {
			await command.kill("SIGTERM");
		}
	});

	it("does not join it: a warren of machines has its hub on one of them, and it reads so", async () => {
		const invited = await edge.call("POST", "/v1/invites", {}, bearer(ada));
		expect(invited.body).toMatchObject({ error: "no_authority", fix: expect.stringContaining("warren hub") });
		const code = "AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA-AAAA";
		const joined = await finished(["join", edge.origin, "--no-start", "--port", "0"], { WARREN_JOIN_CODE: code });
		expect(joined.code).toBe(1);
		expect(joined.log).toMatch(/code/);
	});

	it("tells its API as every hub does", async () => {
		const { status, body } = await edge.call("GET", "/openapi.json");
		expect([status, body.openapi, body.info.title]).toEqual([200, "3.1.0", "Warren hub on Workers"]);
		for (const path of ["/auth/login", "/me/devices", "/rooms/{id}/sync", "/ai/chat", "/v1/validate"])
			expect(Object.keys(body.paths)).toContain(path);
		expect(body.paths["/rooms/{id}/sync"].get["x-websocket"]).toBe(true);
		// What it names it answers: no path of it is unknown here.
		const asked = Object.entries(body.paths as Record<string, { get?: { "x-websocket"?: boolean } }>)
			.filter(([path, { get }]) => get !== undefined && get["x-websocket"] !== true && !path.includes("{"))
			.map(([path]) => path);
		expect(asked.length).toBeGreaterThan(10);
		for (const path of asked)
			expect([path, (await edge.call("GET", path)).body?.error]).not.toEqual([path, "not_found"]);
	});

	it("signs out, and its session has ended at the hub", async () => {
		const before = token();
		expect((await finished(["logout", "--json"])).code).toBe(0);
		expect((await edge.call("GET", "/me", undefined, bearer(before))).status).toBe(401);
	});
});

/** With which status a socket for many documents is refused; 101 = it is not. */
function refusedUpgrade(url: string, token: string): Promise<number> {
	return new Promise((resolve) => {
		const ws = new WebSocket(url, ["warren.sync-mux.v1", "warren.v1", `bearer.${token}`]);
		ws.on("unexpected-response", (_request, answer) => {
			resolve(answer.statusCode ?? 0);
			ws.terminate();
		});
		ws.on("open", () => {
			resolve(101);
			ws.terminate();
		});
		ws.on("error", () => {});
	});
}
