import { type ChildProcess, spawn } from "node:child_process";
import { readFileSync, statSync, writeFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { run } from "@warren/net";
import { addStaticDevice, appUla } from "@warren/overlay/joiner";
import { commandEnvironment, tempFolder } from "@warren/testkit";
import { Agent, request } from "undici";
import { describe, expect, it } from "vitest";
import { parseCoordinatorConfig } from "../config/coordinator-config.ts";
import { parseJoinerConfig } from "../config/joiner-config.ts";

const main = fileURLToPath(new URL("../main.js", import.meta.url));

async function warren(home: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
	const result = await run(process.execPath, [main, ...args], {
		timeoutMs: 60_000,
		env: commandEnvironment(home, { XDG_STATE_HOME: home, ...env }),
	});
	if (result.outcome !== "exited") throw new Error(result.message);
	return result;
}

async function startCoordinator(home: string, args: readonly string[], env: Readonly<Record<string, string>> = {}) {
	const child: ChildProcess = spawn(
		process.execPath,
		[main, "coordinator", "--bind", "127.0.0.1:0", "--stun-port", "0", "--log-level", "error", "--json", ...args],
		{
			stdio: ["ignore", "pipe", "inherit"],
			env: commandEnvironment(home, { XDG_STATE_HOME: home, ...env }),
		},
	);
	const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
	const line = await Promise.race([
		new Promise<string>((resolve) =>
			createInterface({ input: child.stdout as NodeJS.ReadableStream }).once("line", resolve),
		),
		exited.then((code) => {
			throw new Error(`the coordinator ended with ${code}`);
		}),
	]);
	const end = (signal: NodeJS.Signals) => {
		if (child.exitCode === null && child.signalCode === null) child.kill(signal);
		return exited;
	};
	return {
		url: (JSON.parse(line) as { url: string }).url,
		end,
		[Symbol.asyncDispose]: () => end("SIGTERM").then(() => {}),
	};
}

describe("coordinator, CA and overlay from the command line", () => {
	it("a CA, two certificates, a coordinator with state: what it gave out survives kill -9, and its policy is edited and explained", {
		timeout: 180_000,
	}, async () => {
		using home = tempFolder("overlay-cli");
		const at = (name: string) => home.file(name);
		expect((await warren(home.path, ["ca", "init", "--out", at("ca")])).code).toBe(0);
		await warren(home.path, [
			"ca",
			"issue-peer",
			"--name",
			"coord",
			"--ca-dir",
			at("ca"),
			"--out",
			at("coord"),
			"--host",
			"127.0.0.1",
		]);
		const issued = await warren(home.path, [
			"ca",
			"issue-peer",
			"--name",
			"supervisor-01",
			"--ca-dir",
			at("ca"),
			"--out",
			at("peer"),
			"--tag",
			"supervisor",
			"--json",
		]);
		expect(JSON.parse(issued.stdout)).toMatchObject({ name: "supervisor-01", tags: ["supervisor"], hosts: [] });
		for (const secret of ["ca/ca.key", "coord/peer.key", "peer/peer.key"])
			expect(statSync(at(secret)).mode & 0o777, secret).toBe(0o600);
		const refused = await warren(home.path, [
			"ca",
			"issue-peer",
			"--name",
			"x",
			"--ca-dir",
			at("ca"),
			"--out",
			at("x"),
			"--host",
			"203.0.113.9",
		]);
		expect([refused.code, refused.stderr]).toEqual([
			1,
			expect.stringMatching(/may not speak for 203\.0\.113\.9[\s\S]*--host 203\.0\.113\.9/),
		]);

		writeFileSync(at("acl.json"), '{"acls":[]}');
		const server = [
			"--tls-cert",
			at("coord/peer.crt"),
			"--tls-key",
			at("coord/peer.key"),
			"--tls-ca",
			at("ca/ca.crt"),
			"--data",
			at("state"),
			"--policy-file",
			at("acl.json"),
		];
		const client = (url: string) => [
			"--coordinator",
			url,
			"--tls-cert",
			at("peer/peer.crt"),
			"--tls-key",
			at("peer/peer.key"),
			"--tls-ca",
			at("ca/ca.crt"),
		];
		const read = (name: string) => readFileSync(at(name), "utf8");
		const agent = new Agent({
			connect: { ca: read("ca/ca.crt"), cert: read("peer/peer.crt"), key: read("peer/peer.key") },
		});
		const wgKey = Buffer.from(systemRandom.bytes(32)).toString("base64");
		const register = async (url: string) => {
			const answer = await request(`${url}/v1/mesh/register`, {
				method: "POST",
				dispatcher: agent,
				headers: { "content-type": "application/json" },
				body: JSON.stringify({ wg_public_key: wgKey, display_name: "supervisor-01" }),
			});
			return { status: answer.statusCode, body: (await answer.body.json()) as { ula: string; peer_id: string } };
		};
		const first = await startCoordinator(home.path, server);
		const before = await register(first.url);
		expect(before.status).toBe(200);
		await first.end("SIGKILL");
		await using second = await startCoordinator(home.path, server);
		expect((await register(second.url)).body).toMatchObject({ ula: before.body.ula, peer_id: before.body.peer_id });

		const admin = { WARREN_ADMIN_TOKEN: read("state/admin.token").trim() };
		/** A peer that is silent for a minute is gone, and a busy machine takes as long for a few commands. */
		const coordinator = async (...args: string[]) => {
			await register(second.url);
			return warren(home.path, ["coordinator", ...args, ...client(second.url)], admin);
		};
		expect((await coordinator("peers")).stdout).toMatch(/supervisor-01.*supervisor/);
		expect((await coordinator("explain", "supervisor-01", "supervisor-01:22")).stdout).toMatch(/No rule covers/);
		writeFileSync(at("wanted.json"), '{"acls":[{"action":"accept","src":["tag:supervisor"],"dst":["*"]}]}');
		expect((await coordinator("policy", "set", at("wanted.json"))).code).toBe(0);
		expect(read("acl.json")).toBe(read("wanted.json"));
		expect((await coordinator("explain", "supervisor-01", "supervisor-01:22")).stdout).toMatch(
			/acls\[0\] \(line 1\).*can reach/,
		);
		await coordinator("remove", before.body.peer_id);
		expect((await register(second.url)).status).toBe(403);
		await agent.destroy();
	});

	it("a stock device is registered and its configuration printed for the joiner that ran here", {
		timeout: 120_000,
	}, async () => {
		using home = tempFolder("overlay-cli");
		const env = { WARREN_ALLOW_INSECURE: "1" };
		writeFileSync(home.file("acl.json"), '{"acls":[]}');
		await using server = await startCoordinator(
			home.path,
			["--insecure-no-mtls", "--policy-file", home.file("acl.json")],
			env,
		);
		const deps = {
			folder: home.file("data/overlay"),
			coordinators: [server.url],
			tls: null,
			clock: systemClock,
			logger: silentLogger,
		};
		await expect(
			addStaticDevice(deps, "phone", Buffer.from(systemRandom.bytes(32)).toString("base64")),
		).rejects.toThrow(/joined/);
		const key = Buffer.from(systemRandom.bytes(32)).toString("base64");
		const answer = await request(`${server.url}/v1/mesh/register`, {
			method: "POST",
			headers: { "content-type": "application/json" },
			body: JSON.stringify({ wg_public_key: key, display_name: "gate" }),
		});
		const { peer_id, ula } = (await answer.body.json()) as { peer_id: string; ula: string };
		writeFileSync(
			home.file("data/overlay/identity.json"),
			JSON.stringify({ peer_id, ula, network: "default", coordinator: server.url }),
		);
		writeFileSync(
			home.file("data/overlay/status.json"),
			JSON.stringify({
				name: "gate",
				ula,
				wg_public_key: key,
				endpoint: "192.0.2.1:51820",
				coordinator: server.url,
				connected: true,
				interface: "warren0",
				data_plane: "portable",
				nat: "easy",
				relay: true,
				updated_at: 0,
				conditions: [],
				peers: [],
			}),
		);
		const flags = ["--data", home.file("data"), "--coordinator", server.url, "--insecure-no-mtls"];
		const added = await warren(home.path, ["overlay", "add-device", "phone", ...flags], env);
		expect(added.stdout).toContain(`PublicKey = ${key}\nEndpoint = 192.0.2.1:51820\n`);
		expect(added.stdout).toContain("Address = fd5a:1f00:0000:0002::1/128");
		expect(added.stderr).toMatch(/Scan it/);
		const status = await warren(home.path, ["overlay", "status", "--data", home.file("data")]);
		expect(status.stdout).toMatch(/gate {2}fd5a:1f00:0000:0001::1 {2}warren0[\s\S]*the joiner does not run/);
		expect((await warren(home.path, ["overlay", "leave", ...flags], env)).stdout).toMatch(/has left the overlay/);
	});
});

describe("settings", () => {
	it("the coordinator without certificates needs two signs, and never half of its files", () => {
		expect(() => parseCoordinatorConfig({ insecureNoMtls: true }, {})).toThrow(/any peer/);
		expect(parseCoordinatorConfig({ insecureNoMtls: true }, { TABBIFY_ALLOW_INSECURE: "1" }).insecure).toBe(true);
		expect(() => parseCoordinatorConfig({}, { WARREN_ALLOW_INSECURE: "1" })).toThrow(
			/--tls-cert, --tls-key and --tls-ca/,
		);
		expect(() => parseCoordinatorConfig({ tlsCert: "a", tlsKey: "b" }, {})).toThrow(/not all are given/);
		const files = { tlsCert: "a", tlsKey: "b", tlsCa: "c" };
		expect(
			parseCoordinatorConfig({ ...files, bind: "[::]:9000" }, { AUTH_URL: "http://localhost:8080" }),
		).toMatchObject({ host: "::", port: 9000, authUrl: "http://localhost:8080" });
		expect(parseCoordinatorConfig(files, {})).toMatchObject({ host: "0.0.0.0", port: 8888 });
		expect(() => parseCoordinatorConfig({ ...files, bind: "nonsense" }, {})).toThrow(/ADDRESS:PORT/);
		expect(() => parseCoordinatorConfig({ ...files, authUrl: "http://192.0.2.1" }, {})).toThrow(/in the clear/);
		expect(() => parseCoordinatorConfig({ ...files, authUrl: "https://a", joinTokens: "f" }, {})).toThrow(/exclude/);
	});

	it("the joiner reads the original's variables and its apps", () => {
		const files = { tlsCert: "a", tlsKey: "b", tlsCa: "c", data: "/nowhere" };
		const app = "0191e7c2-1111-7222-8333-444455556666";
		expect(
			parseJoinerConfig(
				{ ...files, app: [`${app}=127.0.0.1:80`, `${app}=[::1]:81`] },
				{ TABBIFY_MESH_COORDINATOR: "https://a, https://b", MESH_JOIN_TOKEN: "t" },
			),
		).toMatchObject({
			coordinator: ["https://a", "https://b"],
			joinToken: "t",
			apps: [
				{ uuid: app, host: "127.0.0.1", port: 80 },
				{ host: "::1", port: 81 },
			],
		});
		expect(appUla(app)).not.toBeNull();
		expect(() => parseJoinerConfig(files, {})).toThrow(/Which coordinator/);
		expect(() => parseJoinerConfig({ ...files, coordinator: ["http://a"] }, {})).toThrow(/http:\/\//);
		expect(() => parseJoinerConfig({ ...files, coordinator: ["https://a"], app: ["x=y"] }, {})).toThrow(
			/UUID=HOST:PORT/,
		);
		expect(() =>
			parseJoinerConfig({ data: "/nowhere", coordinator: ["http://127.0.0.1:1"], insecureNoMtls: true }, {}),
		).toThrow(/any peer/);
	});
});
