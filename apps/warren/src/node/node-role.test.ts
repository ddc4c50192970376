import { X509Certificate } from "node:crypto";
import { connect } from "node:tls";
import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import type { Route } from "@warren/net";
import { RawClient, startNode, tempFolder } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { parseNodeConfig } from "../config/node-config.ts";
import { openNode } from "./node-role.ts";

/**
 * Who answers what to whom. A route that is not here, or answers to more than it says, fails this test: extend the table
 * only with the contract (docs/api-node.md).
 */
const open = ["none"];
const member = ["basic", "device", "admin"];
const memberOrShare = [...member, "share"];
const expected: Readonly<Record<string, readonly string[]>> = {
	"GET /": open,
	"GET /api/identify": open,
	"GET /openapi.json": open,
	"GET /api/health": ["none", ...member],
	"GET /api/me": memberOrShare,
	"GET /api/status": member,
	"PUT /api/name": member,
	"GET /api/audit": member,
	"GET /metrics": member,
	"GET /ca.json": open,
	"GET /ca.crt": open,
	"GET /ca.mobileconfig": open,
	"POST /api/setup": ["setup"],
	"POST /api/devices": ["basic"],
	"GET /api/devices": member,
	"DELETE /api/devices/:device": member,
	"PUT /api/credentials": ["basic"],
	"POST /api/ws-tickets": member,
	"GET /api/peers": member,
	"POST /api/peers": member,
	"DELETE /api/peers/:peer": member,
	"POST /api/peers/:peer/probe": member,
	"DELETE /api/peers/:peer/pin": member,
	"PUT /api/peers/:peer/pin": member,
	"ALL /r/:peer/api/*": member,
	"WS /r/:peer/ws/*": member,
	"GET /api/sessions": member,
	"POST /api/sessions": member,
	"GET /api/sessions/:session": member,
	"PATCH /api/sessions/:session": member,
	"DELETE /api/sessions/:session": member,
	"GET /api/sessions/:session/windows": member,
	"POST /api/sessions/:session/windows": member,
	"PATCH /api/sessions/:session/windows/:window": member,
	"DELETE /api/sessions/:session/windows/:window": member,
	"POST /api/sessions/:session/windows/:window/select": member,
	"POST /api/sessions/:session/windows/:window/split": member,
	"POST /api/sessions/:session/windows/:window/zoom": member,
	"POST /api/sessions/:session/panes/:pane/select": member,
	"DELETE /api/sessions/:session/panes/:pane": member,
	"GET /api/sessions/:session/history": member,
	"GET /api/sessions/:session/search": member,
	"POST /api/sessions/:session/files": member,
	"POST /api/sessions/:session/shares": member,
	"GET /api/shares": member,
	"DELETE /api/shares/:share": member,
	"WS /ws/:session": memberOrShare,
	"WS /ws/~events": member,
};

describe("every route of the node", () => {
	it("has its one owner and exactly the credential kinds of the table, and answers 401 without one", async () => {
		using folder = tempFolder("routes");
		const environment = { WARREN_DATA: folder.file("data"), WARREN_PIN: "lovelace-1815", WARREN_USER: "ada" };
		const config = parseNodeConfig(
			{ host: "127.0.0.1", port: 0, http: true, tailscale: "/nonexistent", webFolder: folder.file("none") },
			environment,
		);
		const role = await openNode({ clock: systemClock, random: systemRandom, logger: silentLogger }, config);
		try {
			const routes = role.listener.routes();
			const found = Object.fromEntries(routes.filter(isNoPage).map((route) => [keyOf(route), [...route.credentials]]));
			const secure = Object.keys(expected).filter((key) => !key.startsWith("GET /ca."));
			expect(Object.keys(found).sort()).toEqual(secure.sort());
			for (const key of secure) expect([key, found[key]?.sort()]).toEqual([key, [...(expected[key] ?? [])].sort()]);
			for (const route of routes) {
				expect(route.owner, keyOf(route)).toBe("node");
				const status = await ask(role.listener.port, route);
				if (route.credentials.includes("none")) expect(status, keyOf(route)).not.toBe(401);
				else expect(status, keyOf(route)).toBe(401);
			}
			expect(routes.length).toBeGreaterThan(50);
		} finally {
			await role.close();
		}
	});
});

/** Pages of the UI are the same document, and open. */
function isNoPage(route: Route): boolean {
	const isPage = route.about === null;
	if (isPage) expect(route.credentials, route.path).toEqual(["none"]);
	return !isPage;
}

const keyOf = (route: Route) => `${route.method} ${route.path}`;

async function ask(port: number, route: Route): Promise<number> {
	const path = route.path.replace(/:[a-z]+/g, "x").replace("*", "x");
	const common = "Host: localhost\r\nConnection: close\r\n";
	if (route.method !== "WS") {
		const method = route.method === "ALL" ? "POST" : route.method;
		const answer = await RawClient.exchange({ port }, `${method} ${path} HTTP/1.1\r\n${common}\r\n`);
		return Number(answer.slice(9, 12));
	}
	using client = await RawClient.open({ port });
	client.send(
		`GET ${path} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
	);
	// The close frame: code 4401, then why.
	const answer = await client.until(/\r\n\r\n\x88[^]{3,}\}/);
	expect(answer).toMatch(/\x88.\x11\x31\{"error":"unauthorized"/);
	return 401;
}

describe("a node as a process", () => {
	it("prints one line when it is ready, is trusted by its CA alone, and ends cleanly on SIGTERM", async () => {
		await using node = await startNode();
		expect(node.url).toBe(`https://localhost:${node.port}`);
		expect(node.setupUrl, "user and PIN came from the environment").toBeNull();
		const identify = await node.fetch("/api/identify", { headers: { authorization: "" } });
		expect(await identify.json()).toEqual({ app: "warren", version: expect.stringMatching(/^\d+\.\d+\.\d+/) });
		await expect(fetch(`${node.origin}/api/identify`), "no other authority vouches for it").rejects.toThrow();
		const me = await node.fetch("/api/me");
		expect(await me.json()).toMatchObject({ kind: "operator", name: "ada", node: { name: "burrow" } });
		expect((await node.fetch("/", { headers: { accept: "application/json" } })).status).toBe(200);
		expect(await node.stop()).toBe(0);
		expect(node.log()).not.toContain(node.pin);
	});

	it("hands its CA to anybody, as a file and as a phone's profile, by the fingerprint that it printed", async () => {
		await using node = await startNode();
		const get = (path: string) => node.fetch(path, { headers: { authorization: "" } });
		const { fingerprint, name, notAfter } = (await (await get("/ca.json")).json()) as Record<string, string | number>;
		const file = await get("/ca.crt");
		expect(file.headers.get("content-type")).toBe("application/x-x509-ca-cert");
		const ca = new X509Certificate(Buffer.from(await file.arrayBuffer()));
		expect([ca.ca, ca.fingerprint256.toLowerCase(), ca.subject]).toEqual([true, fingerprint, `CN=${name}`]);
		expect(Date.parse(ca.validTo)).toBe(Math.floor(Number(notAfter) / 1000) * 1000);
		const profile = await get("/ca.mobileconfig");
		expect(profile.headers.get("content-type")).toBe("application/x-apple-aspen-config");
		const plist = await profile.text();
		expect(plist).toContain("<string>com.apple.security.root</string>");
		expect(/<data>([^<]+)<\/data>/.exec(plist)?.[1]).toBe(ca.raw.toString("base64"));
		const shown = await new Promise<X509Certificate>((resolve, reject) => {
			const socket = connect({ host: node.host, port: node.port, servername: "localhost", ca: node.ca }, () => {
				resolve(socket.getPeerX509Certificate() as X509Certificate);
				socket.destroy();
			});
			socket.once("error", reject);
		});
		expect([shown.checkIssued(ca), shown.verify(ca.publicKey)]).toEqual([true, true]);
		expect(shown.fingerprint256.toLowerCase()).toBe(node.fingerprint);
	});

	it("without a PIN makes one, with a setup link that works once", async () => {
		await using node = await startNode({ pin: null });
		const secret = new URL(node.setupUrl ?? "").hash.replace("#setup=", "");
		const setUp = (pin: string) =>
			node.fetch("/api/setup", {
				method: "POST",
				headers: { authorization: "", "x-warren-setup": secret, "content-type": "application/json" },
				body: JSON.stringify({ user: "ada", pin, deviceName: "phone" }),
			});
		expect((await setUp("123")).status).toBe(400);
		const made = await setUp(node.pin);
		expect(made.status).toBe(201);
		const { token } = (await made.json()) as { token: string };
		expect((await setUp(node.pin)).status).toBe(401);
		expect((await node.fetch("/api/me", { headers: { authorization: `Bearer ${token}` } })).status).toBe(200);
		expect((await node.fetch("/api/me")).status).toBe(200);
	});

	it("keeps what it acknowledged through kill -9, and its certificate with it", async () => {
		using home = tempFolder("kept");
		const first = await startNode({ home: home.path });
		const acknowledged: string[] = [];
		let enough: () => void = () => {};
		const many = new Promise<void>((resolve) => {
			enough = resolve;
		});
		const write = async () => {
			for (let index = 0; index < 50; index++) {
				const answer = await first.fetch("/api/devices", {
					method: "POST",
					headers: { "content-type": "application/json" },
					body: '{"name":"phone"}',
				});
				acknowledged.push(((await answer.json()) as { token: string }).token);
				if (acknowledged.length === 40) enough();
			}
		};
		const writing = Promise.allSettled(Array.from({ length: 8 }, write));
		await many;
		await first.kill("SIGKILL");
		expect((await writing).map(({ status }) => status)).toContain("rejected");
		expect(acknowledged.length).toBeGreaterThanOrEqual(40);
		await using second = await startNode({ home: home.path });
		expect(second.fingerprint).toBe(first.fingerprint);
		const answers = await Promise.all(
			acknowledged.map((token) => second.fetch("/api/me", { headers: { authorization: `Bearer ${token}` } })),
		);
		expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
		await first[Symbol.asyncDispose]();
	});

	it("refuses a second process on its data, and plain HTTP off loopback", async () => {
		using home = tempFolder("shared");
		await using first = await startNode({ home: home.path });
		await expect(startNode({ home: home.path })).rejects.toThrow(/in use by process \d+[^]*--data DIR/);
		await expect(startNode({ args: ["--http"], host: "0.0.0.0" })).rejects.toThrow(/--http on 0\.0\.0\.0/);
		expect((await first.fetch("/api/health")).status).toBe(200);
	});

	it("answers 421 to a name that is rebound to it, and lives through malformed upgrades", async () => {
		await using node = await startNode();
		const raw = (text: string) => RawClient.exchange({ port: node.port, ca: node.ca }, text);
		expect(await raw("GET /api/identify HTTP/1.1\r\nHost: evil.example\r\nConnection: close\r\n\r\n")).toMatch(
			/^HTTP\/1.1 421/,
		);
		expect(
			await raw("GET /ws/a HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"),
		).toMatch(/^HTTP\/1.1 400/);
		expect((await node.fetch("/api/identify")).status).toBe(200);
	});
});
