import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { type RequestOptions, request } from "node:https";
import { connect } from "node:net";
import { join } from "node:path";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority, dialWebSocket } from "@warren/net";
import { freePort, type StartedServer, startServer, tempFolder } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";

/** The example configurations, as they are, but for their ports and their certificate. */
const examples = join(import.meta.dirname, "../../examples/gateway");
const programs = {
	nginx: process.env["WARREN_NGINX"] ?? "nginx",
	caddy: process.env["WARREN_CADDY"] ?? "caddy",
};
const missing = {
	nginx: spawnSync(programs.nginx, ["-v"]).error === undefined ? null : "nginx is not installed",
	caddy: spawnSync(programs.caddy, ["version"]).error === undefined ? null : "caddy is not installed",
};
const host = "gateway.example.com";

describe("a gateway behind a proxy that ends TLS", () => {
	const folder = tempFolder("gateway-proxy");
	let gateway: StartedServer;
	let authority: Authority;
	const children: ChildProcess[] = [];

	beforeAll(async () => {
		if (missing.nginx !== null && missing.caddy !== null) return;
		gateway = await startServer([
			"gateway",
			...["--data", folder.file("gateway")],
			...["--host", "127.0.0.1", "--port", "0", "--trusted-proxy", "127.0.0.1"],
		]);
		const made = await Authority.create("test", [host], systemClock, systemRandom);
		authority = made.authority;
		const leaf = await authority.issue({ name: host, hosts: [host] });
		writeFileSync(folder.file("leaf.crt"), leaf.cert);
		writeFileSync(folder.file("leaf.key"), leaf.key);
	}, 60_000);
	afterAll(async () => {
		for (const child of children) {
			const gone = once(child, "exit");
			child.kill("SIGTERM");
			await gone;
		}
		await gateway?.kill("SIGTERM");
		folder[Symbol.dispose]();
	});

	const gatewayPort = () => new URL(gateway.ready["url"] as string).port;
	const start = async (program: string, args: readonly string[], port: number, home: string) => {
		mkdirSync(home, { recursive: true });
		const child = spawn(program, args, {
			cwd: home,
			stdio: ["ignore", "ignore", "pipe"],
			env: { PATH: process.env["PATH"] ?? "", HOME: home, XDG_DATA_HOME: home, XDG_CONFIG_HOME: home },
		});
		children.push(child);
		let said = "";
		child.stderr.on("data", (text: Buffer) => {
			said += text.toString();
		});
		await expect
			.poll(() => (child.exitCode === null ? accepts(port) : said), { timeout: 30_000, interval: 50 })
			.toBe(true);
	};

	it("nginx with the example's configuration", async (test) => {
		test.skip(missing.nginx !== null, missing.nginx ?? "");
		const port = await freePort();
		const home = folder.file("nginx");
		const config = readFileSync(join(examples, "nginx.conf"), "utf8")
			.replace("listen 443", `listen 127.0.0.1:${port}`)
			.replaceAll("127.0.0.1:4000", `127.0.0.1:${gatewayPort()}`)
			.replace("/etc/ssl/gateway.crt", folder.file("leaf.crt"))
			.replace("/etc/ssl/gateway.key", folder.file("leaf.key"));
		mkdirSync(home, { recursive: true });
		writeFileSync(
			join(home, "nginx.conf"),
			`pid ${home}/pid; daemon off; error_log stderr;\n${config.replace("http {", `http {\n${temporary(home)} access_log off;`)}`,
		);
		await start(programs.nginx, ["-p", home, "-e", "stderr", "-c", join(home, "nginx.conf")], port, home);
		await use(port, "by-nginx");
	});

	it("Caddy with the example's configuration", async (test) => {
		test.skip(missing.caddy !== null, missing.caddy ?? "");
		const port = await freePort();
		const home = folder.file("caddy");
		const config = readFileSync(join(examples, "Caddyfile"), "utf8")
			.replace(
				`${host} {`,
				`${host}:${port} {\n\tbind 127.0.0.1\n\ttls ${folder.file("leaf.crt")} ${folder.file("leaf.key")}`,
			)
			.replaceAll("127.0.0.1:4000", `127.0.0.1:${gatewayPort()}`);
		mkdirSync(home, { recursive: true });
		writeFileSync(join(home, "Caddyfile"), `{\n\tadmin off\n\tauto_https disable_redirects\n}\n${config}`);
		await start(programs.caddy, ["run", "--adapter", "caddyfile", "--config", join(home, "Caddyfile")], port, home);
		await use(port, "by-caddy");
	});

	async function use(port: number, meshId: string): Promise<void> {
		const tls = { ca: authority.certPem, servername: host, lookup: toLoopback };
		const body = JSON.stringify({ meshId, secret: "long-enough", name: meshId });
		const headers = { "content-type": "application/json" };
		const ask = { ...tls, host, port, headers };
		expect(await exchange({ ...ask, method: "POST", path: "/register" }, body)).toBe('200 {"ok":true}');
		const dialled = await dialWebSocket(`wss://${host}:${port}/gateway`, systemClock, { protocols: [], tls });
		if (!dialled.ok) throw new Error(dialled.message);
		const answer = new Promise<string>((resolve) => dialled.connection.onMessage((data) => resolve(data.toString())));
		dialled.connection.send(JSON.stringify({ type: "gateway_auth", meshId, secret: "long-enough" }));
		expect(JSON.parse(await answer)).toEqual({ type: "gateway_auth_ok", meshId, name: meshId });
		expect(await exchange({ ...ask, path: "/health" })).toBe('200 {"ok":true,"connected":1}');
		await dialled.connection.close();
		await expect.poll(() => exchange({ ...ask, path: "/health" })).toBe('200 {"ok":true,"connected":0}');
	}
});

/** @returns status and body. */
function exchange(options: RequestOptions, body = ""): Promise<string> {
	return new Promise((resolve, reject) => {
		const outgoing = request({ ...options, agent: false }, (answer) => {
			let text = "";
			answer.on("data", (chunk: Buffer) => {
				text += chunk.toString();
			});
			answer.once("end", () => resolve(`${answer.statusCode} ${text}`));
		});
		outgoing.once("error", reject);
		outgoing.end(body);
	});
}

/** The examples' name, without asking any resolver. */
function toLoopback(
	_host: string,
	options: { readonly all?: boolean | undefined },
	done: (...found: any[]) => void,
): void {
	if (options.all === true) done(null, [{ address: "127.0.0.1", family: 4 }]);
	else done(null, "127.0.0.1", 4);
}

/** Where nginx puts what it would keep under /var. */
function temporary(home: string): string {
	return ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
		.map((kind) => `${kind}_temp_path ${home}/${kind};`)
		.join(" ");
}

function accepts(port: number): Promise<boolean> {
	return new Promise((resolve) => {
		const socket = connect(port, "127.0.0.1");
		socket.once("connect", () => {
			socket.destroy();
			resolve(true);
		});
		socket.once("error", () => resolve(false));
	});
}
