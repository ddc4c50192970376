import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import type { Route } from "@warren/net";
import { RawClient, tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { readConsole } from "../config/console-file.ts";
import { parseHubConfig } from "../config/hub-config.ts";
import { parseSidecarConfig } from "../config/sidecar-config.ts";
import { openSidecarRole } from "../sidecar/sidecar-role.ts";
import { openHub } from "./hub-role.ts";

/**
 * Who answers what to whom, where a hub or a sidecar runs alone. A route that is not here fails this test: extend the
 * table only with the contract (docs/api-hub.md, docs/api-sync.md).
 */
const open = "none";
const expected: Readonly<Record<string, string>> = {
	"GET /": open,
	"ALL /auth/*": open,
	"POST /auth/login": open,
	"POST /auth/signup": open,
	"GET /auth/services": open,
	"GET /auth/session": "session",
	"POST /auth/pair": open,
	"GET /me": "session",
	"PATCH /me": "session",
	"DELETE /me": "session",
	"GET /me/devices": "session",
	"PATCH /me/devices/:device": "session",
	"DELETE /me/devices/:device": "session",
	"POST /me/invitations": "session",
	"GET /me/invitations": "session",
	"DELETE /me/invitations/:invitation": "session",
	"POST /me/pairings": "session",
	"GET /me/pairings/:pairing": "session",
	"POST /me/pairings/:pairing/confirm": "session",
	"POST /me/tickets": "session",
	"GET /me/tickets": "session",
	"DELETE /me/tickets/:ticket": "session",
	"ALL /proxy/:provider/*": "session",
	"DELETE /ai/budgets/:subject": "session",
	"DELETE /ai/chat/:run": "session",
	"GET /ai/budgets": "session",
	"GET /ai/chat": "session",
	"GET /ai/models/:provider": "session",
	"GET /ai/providers": "session",
	"GET /ai/usage": "session",
	"GET /api/settings/ai": "session",
	"GET /me/people": "session",
	"GET /me/usage": "session",
	"POST /ai/chat": "session",
	"PUT /ai/budgets/:subject": "session",
	"PUT /api/settings/ollama-host": "session",
	"GET /v1/revocations": "node",
	"POST /v1/invites": "admin session",
	"POST /v1/join": open,
	"GET /v1/machines": "admin node session",
	"WS /v1/machines/watch": "admin node session",
	"PUT /v1/machines/self": "node",
	"POST /v1/machines/self/certificate": "node",
	"DELETE /v1/machines/:machine": "admin session",
	"POST /v1/join-tokens": "admin session",
	"GET /v1/join-tokens": "admin session",
	"DELETE /v1/join-tokens/:token": "admin session",
	"POST /v1/validate": open,
	"GET /api/health": "admin none session",
	"GET /api/status": "admin session",
	"GET /api/audit": "admin session",
	"GET /metrics": "admin session",
	"GET /openapi": open,
	"GET /openapi.json": open,
	"GET /openapi/json": open,
	"GET /openapi/page.js": open,
	"GET /openapi/page.css": open,
	"GET /openapi/view.js": open,
	"GET /admin": open,
	"GET /admin/page.js": open,
	"GET /admin/page.css": open,
	"GET /admin/view.js": open,
	"GET /admin/admin-passkeys.js": open,
	"GET /admin/ai-usage.js": open,
	"GET /admin/uqr.js": open,
	"GET /admin/health": "admin session",
};
const documents = [
	"GET /rooms",
	"POST /rooms",
	"GET /rooms/:id",
	"PATCH /rooms/:id",
	"DELETE /rooms/:id",
	"GET /rooms/:id/export",
	"GET /rooms/:id/hash",
	"GET /rooms/:id/shares",
	"PUT /rooms/:id/shares/:user",
	"DELETE /rooms/:id/shares/:user",
	"GET /rooms/:id/checkpoints",
	"POST /rooms/:id/checkpoints",
	"GET /rooms/:id/checkpoints/:checkpoint",
	"POST /rooms/:id/checkpoints/:checkpoint/restore",
	"WS /rooms/:id/sync",
	"WS /rooms",
] as const;

const deps = { clock: systemClock, random: systemRandom, logger: silentLogger };
const tableOf = (routes: readonly Route[]) =>
	Object.fromEntries(routes.map((route) => [`${route.method} ${route.path}`, [...route.credentials].sort().join(" ")]));
const status = async (port: number, route: Route) =>
	(
		await fetch(`http://127.0.0.1:${port}${route.path.replace(/:[a-z]+/g, "x").replace("*", "x")}`, {
			method: route.method === "ALL" ? "POST" : route.method,
			redirect: "manual",
		})
	).status;

/** Whether a WebSocket that shows this token answers a ping, or with which code it is closed. */
async function opened(port: number, path: string, token: string): Promise<number | "open"> {
	using client = await RawClient.open({ port });
	const proof = token === "" ? "" : `Authorization: Bearer ${token}\r\n`;
	client.send(
		`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Protocol: warren.sync-mux.v1\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n${proof}\r\n`,
	);
	await client.until(/^HTTP\/1.1 101[^]*?\r\n\r\n/);
	client.send(Buffer.from([0x89, 0x80, 0, 0, 0, 0]));
	const frames = (await client.until(/\r\n\r\n[^]*(\x8a\x00|\x88.[^]{2}\{"error")/))
		.split("\r\n\r\n")
		.slice(1)
		.join("");
	const closed = /\x88.([^])([^])\{"error"/s.exec(frames);
	return closed === null ? "open" : ((closed[1] as string).charCodeAt(0) << 8) | (closed[2] as string).charCodeAt(0);
}

describe("a hub alone", () => {
	it("has exactly the routes and credential kinds of the table, one owner, and answers 401 without a proof", async () => {
		using folder = tempFolder("hub-routes");
		const config = parseHubConfig({ data: folder.file("data"), port: 0, http: true }, {});
		const hub = await openHub(deps, config);
		try {
			const routes = hub.listener.routes();
			const all = { ...expected, ...Object.fromEntries(documents.map((each) => [each, "session"])) };
			expect(tableOf(routes)).toEqual(all);
			for (const route of routes) {
				expect(route.owner, route.path).toBe("hub");
				if (route.method === "WS" || route.credentials.includes("none")) continue;
				expect(await status(hub.listener.port, route), `${route.method} ${route.path}`).toBe(401);
			}
		} finally {
			await hub.close();
		}
	}, 60_000);

	it("opens each of its WebSockets to those who may, and to nobody else", async () => {
		using folder = tempFolder("hub-sockets");
		const hub = await openHub(deps, parseHubConfig({ data: folder.file("data"), port: 0, http: true }, {}));
		const { port } = hub.listener;
		const call = async (method: string, path: string, token: string, body: object, more: object = {}) => {
			const headers = { authorization: `Bearer ${token}`, "content-type": "application/json", ...more };
			return (await (
				await fetch(`http://127.0.0.1:${port}${path}`, { method, headers, body: JSON.stringify(body) })
			).json()) as Record<string, string>;
		};
		const signUp = (name: string, more: object, headers: object) => {
			const who = { name, email: `${name}@example.test`, password: "correct horse battery", ...more };
			return call("POST", "/auth/signup", "", who, { authorization: "", ...headers });
		};
		try {
			const owner = (await signUp("ada", {}, { "x-warren-setup": hub.ready.setupUrl?.split("=")[1] })).token ?? "";
			const { code } = await call("POST", "/me/invitations", owner, {});
			const member = (await signUp("bob", { invitation: code }, {})).token ?? "";
			const { key = "" } = await call("POST", "/auth/api-key/create", member, { name: "ci" });
			await call("POST", "/rooms", owner, { id: "adas", title: "Ada's" });
			await call("POST", "/rooms", member, { id: "bobs", title: "Bob's" });
			const console = readConsole(folder.file("data")).token;
			const all = { nobody: "", unknown: "x".repeat(32), owner, member, key, console };
			const proven = { nobody: 4401, unknown: 4401 };
			const people = { ...proven, console: 4403 };
			const wanted: Readonly<Record<string, Readonly<Record<keyof typeof all, number | "open">>>> = {
				"/v1/machines/watch": { ...proven, owner: "open", member: "open", key: "open", console: "open" },
				"/rooms": { ...people, owner: "open", member: "open", key: "open" },
				"/rooms/adas/sync": { ...people, owner: "open", member: 4403, key: 4403 },
				"/rooms/bobs/sync": { ...people, owner: 4403, member: "open", key: "open" },
			};
			for (const [path, answers] of Object.entries(wanted))
				for (const [who, token] of Object.entries(all))
					expect(await opened(port, path, token), `${who} at ${path}`).toBe(answers[who as keyof typeof all]);
			const tried = hub.listener.routes().filter((route) => route.method === "WS");
			expect(tried.map(({ path }) => path.replace(":id", "adas")).sort()).toEqual(
				Object.keys(wanted)
					.filter((path) => path !== "/rooms/bobs/sync")
					.sort(),
			);
		} finally {
			await hub.close();
		}
	}, 60_000);

	it("serves workspaces only when it was asked to", async () => {
		using folder = tempFolder("hub-workspaces");
		const config = parseHubConfig({ data: folder.file("data"), port: 0, http: true, workspaces: true }, {});
		const hub = await openHub(deps, config);
		expect(Object.keys(tableOf(hub.listener.routes()))).toContain("POST /workspaces");
		await hub.close();
		await hub.close();
	}, 60_000);
});

describe("a sidecar alone", () => {
	it("serves documents and workspaces, and nothing of accounts, keys or AI", async () => {
		using folder = tempFolder("sidecar-routes");
		const flags = { data: folder.file("data"), port: 0, hub: "http://127.0.0.1:9" };
		const sidecar = await openSidecarRole(deps, parseSidecarConfig(flags, {}));
		try {
			for (const path of ["/auth/login", "/me", "/ai/chat", "/proxy/openai/v1/models", "/admin", "/v1/machines"])
				expect((await fetch(`${sidecar.ready.url}${path}`, { method: "POST" })).status, path).toBe(404);
			for (const path of ["/rooms", "/workspaces"])
				expect((await fetch(`${sidecar.ready.url}${path}`)).status, path).toBe(401);
			expect(await (await fetch(sidecar.ready.url)).json()).toMatchObject({ roles: ["sidecar"] });
		} finally {
			await sidecar.close();
		}
	}, 60_000);

	it("gives a page of another origin nothing on any route, whatever it holds, and a rebound name neither", async () => {
		using folder = tempFolder("sidecar-stranger");
		const hub = await openHub(deps, parseHubConfig({ data: folder.file("hub"), port: 0, http: true }, {}));
		try {
			const { url, setupUrl } = hub.ready;
			const signed = await fetch(`${url}/auth/signup`, {
				method: "POST",
				headers: { "content-type": "application/json", "x-warren-setup": setupUrl?.split("=")[1] ?? "" },
				body: JSON.stringify({ name: "Ada", email: "ada@example.test", password: "correct horse battery" }),
			});
			const { token } = (await signed.json()) as { token: string };
			const flags = { data: folder.file("sidecar"), port: 0, hub: url };
			const sidecar = await openSidecarRole(deps, parseSidecarConfig(flags, {}));
			try {
				const { port } = sidecar.listener;
				const stolen = { authorization: `Bearer ${token}` };
				const own = await fetch(`http://127.0.0.1:${port}/rooms`, { headers: stolen });
				expect(own.status, "what was stolen works for programs").toBe(200);
				const routes = sidecar.listener.routes();
				expect(routes.length).toBeGreaterThan(30);
				for (const route of routes) {
					const name = `${route.method} ${route.path}`;
					const path = route.path.replace(/:[a-z]+/g, "x").replace("*", "x");
					const ask = (method: string, headers: Record<string, string>) =>
						RawClient.exchange(
							{ port },
							`${method} ${path} HTTP/1.1\r\nConnection: close\r\n${Object.entries({
								Host: `127.0.0.1:${port}`,
								...headers,
							})
								.map(([field, value]) => `${field}: ${value}\r\n`)
								.join("")}\r\n`,
						);
					if (route.method === "WS") {
						using page = await RawClient.open({ port });
						page.send(
							`GET ${path} HTTP/1.1\r\nHost: 127.0.0.1:${port}\r\nOrigin: https://evil.example\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\nAuthorization: ${stolen.authorization}\r\n\r\n`,
						);
						expect(await page.until(/\r\n\r\n/), name).toMatch(/^HTTP\/1.1 403/);
						continue;
					}
					const method = route.method === "ALL" ? "POST" : route.method;
					for (const origin of ["https://evil.example", "null", "http://tauri.localhost.evil.example"]) {
						const answer = await ask(method, { ...stolen, Origin: origin, "Content-Length": "0" });
						expect(answer.toLowerCase(), `${name} ${origin}`).not.toContain("access-control-allow");
						if (method !== "GET") expect(answer, `${name} ${origin}`).toMatch(/^HTTP\/1.1 403/);
						const asked = { Origin: origin, "Access-Control-Request-Method": method };
						const before = await ask("OPTIONS", { ...asked, "Access-Control-Request-Headers": "authorization" });
						expect(before.toLowerCase(), `${name} ${origin}`).not.toContain("access-control-allow");
					}
					const rebound = await ask(method, { ...stolen, Host: `evil.example:${port}`, "Content-Length": "0" });
					expect(rebound, name).toMatch(/^HTTP\/1.1 421/);
				}
				const rooms = (await (await fetch(`http://127.0.0.1:${port}/rooms`, { headers: stolen })).json()) as object;
				expect(rooms).toEqual({ rooms: [] });
			} finally {
				await sidecar.close();
			}
		} finally {
			await hub.close();
		}
	}, 60_000);

	it.each(["0.0.0.0", "192.168.1.4", "::"])("is refused on %s: only this machine's windows are its clients", (host) => {
		expect(() => parseSidecarConfig({ host }, {})).toThrow(expect.objectContaining({ code: "unsafe_config" }));
	});

	it("needs a hub: one that it is told, or a sign-in", async () => {
		using folder = tempFolder("sidecar-alone");
		const config = parseSidecarConfig({ data: folder.file("data"), port: 0 }, {});
		await expect(openSidecarRole(deps, config)).rejects.toMatchObject({
			code: "no_hub",
			fix: expect.stringContaining("warren login"),
		});
	});
});
