import { spawnSync } from "node:child_process";
import { randomBytes } from "node:crypto";
import { readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Lifetime, systemClock, systemRandom } from "@warren/kernel";
import { Authority, dialWebSocket } from "@warren/net";
import { freePort, noNats, noPostgres, type StartedServer, startServer, tempFolder } from "@warren/testkit";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { balancers, examples, exampleWith, nginxAround, runBalancer, toLoopback } from "./balancer.ts";
import { Cluster } from "./cluster.ts";
import { Coordinators } from "./coordinators.ts";

/** The balancers of examples/cluster in front of backbones and gateways: as they are, but for names, ports and certificate. */
const adminToken = "an-administrator-of-tests";
const missing = noPostgres() ?? noNats();

describe.skipIf(missing !== null)(
	"the balancers of examples/ before other roles (skipped where PostgreSQL or nats-server is missing)",
	{ timeout: 240_000 },
	() => {
		const folder = tempFolder("roles-balancer");
		const lifetime = new Lifetime();
		const ports: Record<string, number> = {};
		let backbones: Cluster;
		let gateways: Cluster;
		let coordinators: Coordinators;
		let ca: string;
		let token: string;
		let target: number;
		let http: Agent;

		beforeAll(async () => {
			for (const name of ["nginx", "haproxy", "coordinators"]) ports[name] = await freePort();
			[coordinators, backbones, gateways] = await Promise.all([
				Coordinators.start(["machine"]),
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
		}, 240_000);
		afterAll(async () => {
			await lifetime.close();
			await backbones?.[Symbol.asyncDispose]();
			await gateways?.[Symbol.asyncDispose]();
			await coordinators?.[Symbol.asyncDispose]();
			folder[Symbol.dispose]();
		}, 180_000);

		type Place = readonly [from: string, to: string];
		const placesOf = (ports: readonly number[], at: (index: number) => { readonly port: number }): Place[] =>
			ports.map((port, index) => [`127.0.0.1:${port}`, `127.0.0.1:${at(index).port}`]);
		const places = (): Place[] => [
			...placesOf([5152, 5153, 5154], (index) => backbones.at(index)),
			...placesOf([4000, 4001, 4002], (index) => gateways.at(index)),
			["mos.example.com", "localhost"],
		];
		const coordinatorPlaces = () => placesOf([8889, 8890], (index) => coordinators.cluster.at(index));
		const configurations = {
			nginx: (port: number) => {
				const site = exampleWith("roles-nginx.conf", places())
					.replaceAll("listen 443 ssl", `listen 127.0.0.1:${port} ssl`)
					.replace(/\/etc\/ssl\/\S+\.crt/g, folder.file("leaf.crt"))
					.replace(/\/etc\/ssl\/\S+\.key/g, folder.file("leaf.key"));
				const file = folder.file("nginx.conf");
				writeFileSync(file, nginxAround(site, folder.file));
				return ["-c", file, "-p", folder.path];
			},
			haproxy: (port: number) => {
				const site = exampleWith("haproxy.cfg", [...places(), ...coordinatorPlaces()])
					.replace("bind :443 ssl crt /etc/ssl/warren", `bind 127.0.0.1:${port} ssl crt ${folder.file("leaf.pem")}`)
					.replace("bind :8888", `bind 127.0.0.1:${ports["coordinators"]}`);
				const file = folder.file("haproxy.cfg");
				writeFileSync(file, site);
				return ["-db", "-f", file];
			},
		} as const;

		async function start(name: "nginx" | "haproxy"): Promise<number> {
			const port = ports[name] as number;
			const running = await runBalancer(balancers[name] as string, configurations[name](port), port);
			lifetime.defer(async () => running[Symbol.asyncDispose]());
			return port;
		}

		/** A machine by its own certificate, whatever stands between; and again without whoever led. */
		async function machineComesBack(port: number) {
			const dispatcher = new Agent({ connect: { ...coordinators.tlsOf("machine"), lookup: toLoopback } as never });
			lifetime.defer(() => dispatcher.destroy());
			const body = JSON.stringify({ wg_public_key: key, display_name: "machine" });
			const register = async () => {
				const init = { method: "POST", dispatcher, body, headers: { "content-type": "application/json" } };
				const answer = await fetch(`https://localhost:${port}/v1/mesh/register`, init).catch(() => null);
				return answer?.status === 200 ? ((await answer.json()) as { ula: string }).ula : null;
			};
			await expect.poll(register, { timeout: 30_000 }).toMatch(/^fd/);
			const before = await register();
			const { cluster } = coordinators;
			const leading = await coordinators.leader();
			await cluster.at(leading).process.kill("SIGKILL");
			await expect.poll(register, { timeout: 30_000 }).toBe(before);
			await cluster.add(leading);
		}
		const key = randomBytes(32).toString("base64");

		it.for(["nginx", "haproxy"] as const)(
			"%s: an agent and its visitors by one name, without any one backbone",
			async (name, context) => {
				context.skip(balancers[name] === undefined, `${name} is not installed (Debian's package)`);
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
				context.skip(balancers[name] === undefined, `${name} is not installed (Debian's package)`);
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

		it("HAProxy passes a coordinator's TLS on, from the machine to whoever leads", async (context) => {
			context.skip(balancers.haproxy === undefined, "haproxy is not installed (Debian's package)");
			await machineComesBack(ports["coordinators"] as number);
		});

		it("nginx does the same", async (context) => {
			const { nginx, nginxStream } = balancers;
			context.skip(nginx === undefined, "nginx is not installed (Debian's package)");
			context.skip(nginxStream === undefined, "nginx's module stream is not installed (libnginx-mod-stream)");
			const port = await freePort();
			const part = exampleWith("roles-nginx-stream.conf", coordinatorPlaces());
			expect(part).toContain("listen 8888;");
			const file = folder.file("nginx-stream.conf");
			const site = part.replace(/^#.*\n/gm, "").replace("listen 8888;", `listen 127.0.0.1:${port};`);
			writeFileSync(file, nginxAround(site.trim(), folder.file, `load_module ${nginxStream};\n`));
			const running = await runBalancer(nginx as string, ["-c", file, "-p", folder.path], port);
			lifetime.defer(async () => running[Symbol.asyncDispose]());
			await machineComesBack(port);
		});

		it("systemd takes the units as they are", (context) => {
			const verify = "/usr/bin/systemd-analyze";
			context.skip(spawnSync(verify, ["--version"]).status !== 0, "systemd-analyze is not installed");
			for (const unit of ["warren-role@.service", "warren-hub@.service"]) {
				const done = spawnSync(verify, ["verify", `${examples}${unit}`], { encoding: "utf8" });
				// What is said of other units of this machine is theirs.
				const said = `${done.stdout}${done.stderr}`.split("\n").filter((line) => line.includes("warren"));
				expect(said).toEqual([]);
			}
		});

		it("vps.sh is a script that the shell takes, and sets up what the balancers' files expect", () => {
			const file = `${examples}vps.sh`;
			const parsed = spawnSync("sh", ["-n", file], { encoding: "utf8" });
			expect([parsed.status, parsed.stderr]).toEqual([0, ""]);
			const text = readFileSync(file, "utf8");
			const portsOf = (role: string) =>
				new RegExp(`for port in ([\\d ]+); do\n(?:\tfolder=.*\n)?\tunit "${role}-`).exec(text)?.[1]?.split(" ");
			for (const [role, files] of [
				["backbone", ["roles-nginx.conf", "haproxy.cfg"]],
				["gateway", ["roles-nginx.conf", "haproxy.cfg"]],
				["coordinator", ["roles-nginx-stream.conf", "haproxy.cfg"]],
			] as const) {
				const found = portsOf(role) ?? [];
				expect(found.length, role).toBeGreaterThan(1);
				for (const each of files)
					for (const port of found)
						expect(readFileSync(`${examples}${each}`, "utf8"), `${each} ${role}`).toContain(`127.0.0.1:${port}`);
			}
		});
	},
);
