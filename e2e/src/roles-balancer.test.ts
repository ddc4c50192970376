import { type ChildProcess, spawn } from "node:child_process";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import { type AddressInfo, connect } from "node:net";
import { fileURLToPath } from "node:url";
import { Lifetime, systemClock, systemRandom } from "@warren/kernel";
import { Authority, dialWebSocket } from "@warren/net";
import { freePort, noNats, noPostgres, type StartedServer, startServer, tempFolder } from "@warren/testkit";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster } from "./cluster.ts";

/** The balancers of examples/cluster in front of backbones and gateways: as they are, but for names, ports and certificate. */
const examples = fileURLToPath(new URL("../../examples/cluster/", import.meta.url));
const programs = {
	nginx: ["/usr/sbin/nginx", "/usr/bin/nginx"].find((each) => existsSync(each)),
	haproxy: ["/usr/sbin/haproxy", "/usr/local/sbin/haproxy"].find((each) => existsSync(each)),
};
const adminToken = "an-administrator-of-tests";
const missing = noPostgres() ?? noNats();

describe.skipIf(missing !== null)(
	"the balancers of examples/ before other roles (skipped where PostgreSQL or nats-server is missing)",
	{ timeout: 120_000 },
	() => {
		const folder = tempFolder("roles-balancer");
		const lifetime = new Lifetime();
		const ports: Record<string, number> = {};
		let backbones: Cluster;
		let gateways: Cluster;
		let ca: string;
		let token: string;
		let target: number;
		let http: Agent;

		beforeAll(async () => {
			for (const name of [...Object.keys(programs), "coordinators"]) ports[name] = await freePort();
			[backbones, gateways] = await Promise.all([
				Cluster.start(3, {
					role: "backbone",
					flags: ["--http", "--domain", "localhost", "--trusted-proxy", "127.0.0.1/32"],
					env: { BACKBONE_ADMIN_TOKEN: adminToken },
					copied: ["backbone/master.secret", "backbone/jwt.key"],
				}),
				Cluster.start(3, { role: "gateway", flags: ["--trusted-proxy", "127.0.0.1/32"], withoutNats: true }),
			]);
			const hosts = ["localhost", "web.localhost", "gateway.example.com"];
			const { authority, pem } = await Authority.create("test", hosts, systemClock, systemRandom);
			const leaf = await authority.issue({ name: "balancer", hosts });
			ca = pem.cert;
			writeFileSync(folder.file("ca.crt"), ca);
			writeFileSync(folder.file("leaf.crt"), leaf.cert);
			writeFileSync(folder.file("leaf.key"), leaf.key);
			writeFileSync(folder.file("leaf.pem"), leaf.cert + leaf.key);
			http = new Agent({ connect: { ca, lookup: toLoopback } as never });
			lifetime.defer(() => http.destroy());
			const service = createServer((request, response) => response.end(`served ${request.url}`));
			service.on("upgrade", (_request, socket) => socket.destroy());
			await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
			lifetime.defer(() => {
				service.closeAllConnections();
				service.close();
			});
			target = (service.address() as AddressInfo).port;
			const made = await fetch(`http://127.0.0.1:${backbones.at(0).port}/admin/api/tokens`, {
				method: "POST",
				headers: { host: "localhost", authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
				body: JSON.stringify({ service_name: "web" }),
			});
			token = ((await made.json()) as { token: string }).token;
		}, 120_000);
		afterAll(async () => {
			await lifetime.close();
			await backbones?.[Symbol.asyncDispose]();
			await gateways?.[Symbol.asyncDispose]();
			folder[Symbol.dispose]();
		}, 60_000);

		/** The example with this test's names and ports; each of its own must be there to be replaced. */
		const withPlaces = (file: string) => {
			let text = readFileSync(`${examples}${file}`, "utf8");
			const places: [string, string][] = [
				...[5152, 5153, 5154].map((port, at): [string, string] => [
					`127.0.0.1:${port}`,
					`127.0.0.1:${backbones.at(at).port}`,
				]),
				...[4000, 4001, 4002].map((port, at): [string, string] => [
					`127.0.0.1:${port}`,
					`127.0.0.1:${gateways.at(at).port}`,
				]),
				["mos.example.com", "localhost"],
			];
			for (const [from, to] of places) {
				expect(text, from).toContain(from);
				text = text.replaceAll(from, to);
			}
			return text;
		};
		const configurations = {
			nginx: (port: number) => {
				const site = withPlaces("roles-nginx.conf")
					.replaceAll("listen 443 ssl", `listen 127.0.0.1:${port} ssl`)
					.replace(/\/etc\/ssl\/\S+\.crt/g, folder.file("leaf.crt"))
					.replace(/\/etc\/ssl\/\S+\.key/g, folder.file("leaf.key"));
				const paths = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
					.map((each) => `${each}_temp_path ${folder.file(each)};`)
					.join(" ");
				const file = folder.file("nginx.conf");
				writeFileSync(
					file,
					`daemon off; master_process off; pid ${folder.file("pid")}; error_log ${folder.file("log")};
events {} http { access_log off; ${paths} ${site} }`,
				);
				return ["-c", file, "-p", folder.path];
			},
			haproxy: (port: number) => {
				const site = withPlaces("haproxy.cfg")
					.replace("bind :443 ssl crt /etc/ssl/warren", `bind 127.0.0.1:${port} ssl crt ${folder.file("leaf.pem")}`)
					.replace("bind :8888", `bind 127.0.0.1:${ports["coordinators"]}`);
				const file = folder.file("haproxy.cfg");
				writeFileSync(file, site);
				return ["-db", "-f", file];
			},
		} as const;

		async function start(name: keyof typeof programs): Promise<number> {
			const port = ports[name] as number;
			const child = spawn(programs[name] as string, configurations[name](port), { stdio: "ignore" });
			lifetime.defer(() => ended(child));
			await listening(port);
			return port;
		}

		it.for(["nginx", "haproxy"] as const)(
			"%s: an agent and its visitors by one name, without any one backbone",
			async (name, context) => {
				context.skip(programs[name] === undefined, `${name} is not installed (Debian's package)`);
				const port = await start(name);
				const args = [
					"agent",
					"--backbone",
					`https://localhost:${port}`,
					"--service",
					"web",
					"--target",
					`127.0.0.1:${target}`,
				];
				const agent: StartedServer = await startServer(args, {
					BACKBONE_SERVICE_TOKEN: token,
					NODE_EXTRA_CA_CERTS: folder.file("ca.crt"),
				});
				lifetime.defer(async () => agent[Symbol.asyncDispose]());
				const ask = async (path: string) => {
					const answer = await fetch(`https://web.localhost:${port}${path}`, { dispatcher: http }).catch(() => null);
					return answer === null ? "" : `${answer.status} ${await answer.text()}`;
				};
				await expect.poll(() => ask("/first"), { timeout: 30_000 }).toBe("200 served /first");
				const strange = await fetch(`https://localhost:${port}/healthz`, { dispatcher: http });
				expect(strange.status).toBe(200);
				for (const index of [0, 1, 2]) {
					await backbones.at(index).process.kill("SIGKILL");
					await expect.poll(() => ask(`/without-${index}`), { timeout: 30_000 }).toBe(`200 served /without-${index}`);
					await backbones.add(index);
				}
			},
		);

		it.for(["nginx", "haproxy"] as const)(
			"%s: a mesh registers and connects at the gateway's name",
			async (name, context) => {
				context.skip(programs[name] === undefined, `${name} is not installed (Debian's package)`);
				const port = ports[name] as number;
				const origin = `https://gateway.example.com:${port}`;
				const registered = await fetch(`${origin}/register`, {
					method: "POST",
					dispatcher: http,
					headers: { "content-type": "application/json" },
					body: JSON.stringify({ meshId: `mesh-${name}`, secret: "long-enough", name }),
				});
				expect(registered.status, await registered.text()).toBeLessThan(300);
				const tls = { ca, lookup: toLoopback } as never;
				const dialled = await dialWebSocket(`wss://gateway.example.com:${port}/gateway`, systemClock, {
					protocols: [],
					tls,
				});
				if (!dialled.ok) throw new Error(dialled.message);
				const { connection } = dialled;
				const answer = new Promise<string>((resolve) => connection.onMessage((data) => resolve(data.toString())));
				connection.send(JSON.stringify({ type: "gateway_auth", meshId: `mesh-${name}`, secret: "long-enough" }));
				expect(JSON.parse(await answer)).toMatchObject({ type: "gateway_auth_ok", meshId: `mesh-${name}` });
				await connection.close();
			},
		);
	},
);

function toLoopback(_host: string, options: { readonly all?: boolean }, done: (...answer: any[]) => void): void {
	if (options.all === true) done(null, [{ address: "127.0.0.1", family: 4 }]);
	else done(null, "127.0.0.1", 4);
}

const maxTries = 400;

/** Resolves once somebody accepts there; a refusal is followed by the next try, 20 s long. */
function listening(port: number): Promise<void> {
	let tries = 0;
	return new Promise((resolve, reject) => {
		const tryOnce = () => {
			const socket = connect(port, "127.0.0.1");
			socket.once("connect", () => {
				socket.destroy();
				resolve();
			});
			socket.once("error", (fault) => {
				tries += 1;
				if (tries < maxTries) setTimeout(tryOnce, 50);
				else reject(fault);
			});
		};
		tryOnce();
	});
}

function ended(child: ChildProcess): Promise<void> {
	return new Promise((resolve) => {
		child.once("exit", () => resolve());
		child.kill("SIGTERM");
		if (child.exitCode !== null) resolve();
	});
}
