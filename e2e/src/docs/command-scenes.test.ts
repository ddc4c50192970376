import { existsSync, writeFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { run } from "@warren/net";
import {
	compiledCode,
	freePort,
	noNats,
	noPostgres,
	startNode,
	TestNats,
	TestPostgres,
	tempFolder,
} from "@warren/testkit";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { HomeLan } from "../network/home-lan.ts";
import { call, owner } from "../warren-pair.ts";
import { playScene } from "./play-scene.ts";
import { served, typed } from "./typed.ts";

/** What the documentation shows is typed as it stands, scene by scene; documented-commands.test.ts holds that nothing is left out. */
const curlMissing = existsSync("/usr/bin/curl") ? null : "curl is not installed";
const minutes = 240_000;

let stack: AsyncDisposableStack;
let home: string;
beforeEach(() => {
	stack = new AsyncDisposableStack();
	home = stack.use(tempFolder("docs")).path;
});
afterEach(() => stack.disposeAsync());

const folders = (): Record<string, string> => ({
	HOME: home,
	XDG_STATE_HOME: join(home, "state"),
	XDG_CONFIG_HOME: join(home, "config"),
	XDG_CACHE_HOME: compiledCode,
	XDG_RUNTIME_DIR: join(home, "run"),
	TMUX_TMPDIR: home,
});
/** Beside whatever else runs on this machine. */
const environment = (): Record<string, string> => ({
	...folders(),
	WARREN_HOST: "127.0.0.1",
	WARREN_SIDECAR_PORT: "0",
	WARREN_OVERLAY: "0",
	WARREN_COORDINATOR_PORT: "0",
	WARREN_STUN_PORT: "0",
});

async function hello(): Promise<{ port: string } & AsyncDisposable> {
	const server: Server = createServer((_, answer) => answer.end("hello from 8080\n"));
	await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
	return {
		port: String((server.address() as AddressInfo).port),
		async [Symbol.asyncDispose]() {
			server.closeAllConnections();
			await new Promise((resolve) => server.close(resolve));
		},
	};
}

describe("the commands of the documentation run", () => {
	it("on the first machine: what it shows, exposes, keeps", { timeout: minutes }, async (test) => {
		test.skip(curlMissing !== null, curlMissing ?? "");
		const ports = { "5152": String(await freePort()), "15432": String(await freePort()) };
		const admin = "an-administrator-of-tests";
		const node = stack.use(
			await startNode({
				command: ["up"],
				name: "atlas",
				env: {
					...{ WARREN_EDGE: "1", WARREN_SIDECAR_PORT: "0", WARREN_COORDINATOR_PORT: "0", WARREN_STUN_PORT: "0" },
					...{ WARREN_BACKBONE_PORT: ports["5152"], BACKBONE_ADMIN_TOKEN: admin },
				},
			}),
		);
		await expect.poll(async () => (await node.fetch("/api/exposed")).status, { timeout: 120_000 }).toBe(200);
		const signUp = { "x-warren-setup": (node.setupUrl as string).split("#account=")[1] ?? "" };
		expect((await call(node, "POST", "/auth/signup", signUp, owner)).status).toBe(200);
		for (const [file, text] of [
			["ca.crt", node.ca],
			["key.txt", "sk-ant-of-tests-0123456789"],
		] as const)
			writeFileSync(join(home, file), text, { mode: 0o600 });
		const made = await run(
			"curl",
			[
				...["--silent", "--fail", "--cacert", join(home, "ca.crt"), "-H", `Authorization: Bearer ${admin}`],
				...["-H", "content-type: application/json", "-d", '{"name":"Ada","email":"ada@example.test"}'],
				`https://localhost:${ports["5152"]}/admin/api/principals`,
			],
			{ timeoutMs: 60_000 },
		);
		if (made.outcome !== "exited") throw new Error(made.message);
		const principal = JSON.parse(made.stdout) as { principal_id: string; credential: string };
		const shell = {
			cwd: home,
			env: {
				...environment(),
				WARREN_DATA: node.data,
				BACKBONE_CA: join(home, "ca.crt"),
				CREDENTIAL: principal.credential,
				WHO: `${node.user}:${node.pin}`,
			},
		};
		const words = { ...ports, "5151": String(node.port), PRINCIPAL: principal.principal_id };
		await playScene(stack, "machine", shell, words, async ({ shown }) => {
			if (shown !== "warren expose db 5432 --tcp") return;
			// For whom the next ones forward.
			expect((await typed(`${shown} --grant ${principal.principal_id}`, shell)).code).toBe(0);
		});
	});

	it("that start a machine", { timeout: minutes }, async () => {
		await playScene(
			stack,
			"up",
			{ cwd: home, env: { ...environment(), WARREN_PORT: "0", WARREN_BACKBONE_PORT: "0", WARREN_GATEWAY_PORT: "0" } },
			{},
		);
	});

	it("of a backbone with an agent and a client", { timeout: minutes }, async (test) => {
		test.skip(curlMissing !== null, curlMissing ?? "");
		const app = stack.use(await hello());
		const port = String(await freePort());
		const data = join(home, "bb");
		const ca = join(data, "backbone-ca/ca.crt");
		const env = {
			...environment(),
			WARREN_BACKBONE_PORT: port,
			WARREN_BACKBONE_STREAM_PORTS: "0-0",
			WARREN_HOSTNAME: "localhost",
			BACKBONE_ADMIN_TOKEN: "an-administrator-of-tests",
			ADMIN: "an-administrator-of-tests",
			CURL_CA_BUNDLE: ca,
			BACKBONE_CA: ca,
		};
		// Without anybody's DNS.
		const curl = `curl --silent --show-error --connect-to ::127.0.0.1:${port} `;
		const words = { DIR: data, "5152": port, "8080": app.port, "curl ": curl };
		const shell = { cwd: home, env };
		await playScene(stack, "backbone", shell, words, async ({ shown }, text) => {
			if (!shown.includes("/admin/api/tokens")) return;
			const { token } = JSON.parse(text) as { token: string };
			writeFileSync(join(home, "token"), token, { mode: 0o600 });
			const api = (path: string, body: object) =>
				typed(
					`curl --silent --fail -H "Authorization: Bearer $ADMIN" -H content-type:application/json -d '${JSON.stringify(body)}' https://localhost:${port}/admin/api/${path}`,
					shell,
				);
			const made = JSON.parse((await api("principals", { name: "Ada", email: "a@b.c" })).text);
			writeFileSync(join(home, "credential"), made.credential, { mode: 0o600 });
			expect((await api("grants", { principal_id: made.principal_id, service: "myapp" })).code).toBe(0);
		});
	});

	it("of a hub for others", { timeout: minutes }, async () => {
		const certificate = await typed(
			"openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=hub.example.net -addext subjectAltName=DNS:hub.example.net,DNS:localhost -keyout privkey.pem -out fullchain.pem",
			{ cwd: home, env: environment() },
		);
		expect(certificate.code, certificate.text).toBe(0);
		const env = { ...environment(), WARREN_PORT: "0" };
		await playScene(stack, "hub", { cwd: home, env }, { "/srv/": `${home}/srv-` });
	});

	it("of a gateway", { timeout: minutes }, async () => {
		const env = { ...environment(), PORT: String(await freePort()) };
		await playScene(stack, "gateway", { cwd: home, env }, { "4000": String(await freePort()) });
	});

	it("of a mesh of one's own", { timeout: minutes }, async (test) => {
		const missing = HomeLan.missing() ?? (existsSync("/dev/net/tun") ? null : "there is no /dev/net/tun");
		test.skip(missing !== null, missing ?? "");
		const lan = stack.use(new HomeLan());
		const { through } = lan.device("mesh");
		const shell = { cwd: home, env: { ...folders(), WARREN_ADMIN_TOKEN: "an-administrator-of-tests" }, through };
		expect((await typed("ip addr add 203.0.113.7/32 dev lo", shell)).code).toBe(0);
		writeFileSync(join(home, "acl.json"), '{"acls":[{"action":"accept","src":["*"],"dst":["*"]}]}');
		const flags =
			"--coordinator https://203.0.113.7:8888 --tls-cert certs/peer.crt --tls-key certs/peer.key --tls-ca certs/ca.crt";
		const words: Record<string, string> = { "/var/lib/": `${home}/`, FLAGS: flags };
		await playScene(stack, "mesh", shell, words, async ({ shown }) => {
			if (shown !== "warren coordinator peers") return;
			const listed = JSON.parse((await typed(`warren coordinator peers --json ${flags}`, shell)).text);
			words[" ID "] = ` ${listed.peers[0].peer_id} `;
		});
	});

	it("of several instances", { timeout: minutes }, async (test) => {
		const missing = noPostgres() ?? noNats();
		test.skip(missing !== null, missing ?? "");
		const postgres = stack.use(new TestPostgres({ port: await freePort() }));
		const nats = stack.use(await TestNats.start());
		const env = { ...environment(), WARREN_PORT: "0", PORT: "0", WARREN_BACKBONE_PORT: "0" };
		const plain = { cwd: home, env };
		await (await served("warren hub --data moved --port 0", /The hub is up/, plain))[Symbol.asyncDispose]();
		const database = () => `postgres://${postgres.user}@127.0.0.1:${postgres.port}/${postgres.createDatabase()}`;
		const ports = {
			"8888": String(await freePort()),
			"4000": String(await freePort()),
			"5152": String(await freePort()),
		};
		await playScene(
			stack,
			"cluster",
			{ cwd: home, env: { ...env, DB: database(), DB2: database(), BUS: `nats://127.0.0.1:${nats.port}` } },
			ports,
		);
	});
});
