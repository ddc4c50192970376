import { spawnSync } from "node:child_process";
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { freePort, noNats, noPostgres, tempFolder } from "@warren/testkit";
import { Agent, fetch } from "undici";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { balancers, exampleWith, nginxAround, runBalancer, toLoopback } from "./balancer.ts";
import { type Cluster, setupOf, startHubs } from "./cluster.ts";
import { SyncClient } from "./sync-client.ts";

const person = { name: "Ada", email: "ada@example.test", password: "correct horse battery" };
const { nginx, caddy, haproxy } = balancers;
const reason = noPostgres() ?? noNats();

describe.skipIf(reason !== null)(
	"the balancers of examples/ (skipped where PostgreSQL or nats-server is missing)",
	() => {
		let cluster: Cluster;
		let token: string;
		let port: number;
		beforeAll(async () => {
			port = await freePort();
			const publicUrl = `https://hub.example.com:${port}`;
			cluster = await startHubs(3, ["--public-url", publicUrl, "--trusted-proxy", "127.0.0.1/32"]);
			expect(String(cluster.at(2).ready["setupUrl"]).startsWith(`${publicUrl}/#setup=`)).toBe(true);
			const signed = await fetch(`${cluster.at(0).origin}/auth/signup`, {
				method: "POST",
				headers: { "content-type": "application/json", "x-warren-setup": setupOf(cluster) },
				body: JSON.stringify(person),
			});
			token = ((await signed.json()) as { token: string }).token;
		}, 180_000);
		afterAll(async () => {
			await cluster?.[Symbol.asyncDispose]();
		});

		/** The example with the ports of the test in it. */
		const withPorts = (file: string) =>
			exampleWith(
				file,
				[3914, 3915, 3916].map((at, index) => [`127.0.0.1:${at}`, new URL(cluster.at(index).origin).host] as const),
			);

		/** A page's sign-in, a document, and an instance that dies meanwhile. */
		const works = async (ca: string, room: string) => {
			const agent = new Agent({ connect: { ca, servername: "hub.example.com", lookup: toLoopback } as never });
			const origin = `https://hub.example.com:${port}`;
			const seen = await fetch(`${origin}/`, { dispatcher: agent, headers: { accept: "application/json" } });
			expect(seen.status).toBe(200);
			const page = await fetch(`${origin}/auth/login`, {
				method: "POST",
				dispatcher: agent,
				headers: { "content-type": "application/json", origin },
				body: JSON.stringify({ email: person.email, password: person.password }),
			});
			expect(page.status, await page.text()).toBe(200);
			expect([page.status, page.headers.get("set-cookie")]).toEqual([200, expect.stringContaining("Secure")]);
			using client = new SyncClient([origin], 0, room, token, { ca, lookup: toLoopback });
			const word = async (key: string) => {
				client.set(key);
				await client.until(() => client.acknowledged.has(key));
			};
			await word("first");
			for (const index of [0, 1, 2]) {
				await cluster.at(index).process.kill("SIGKILL");
				await word(`without ${index}`);
				const answer = await fetch(`${origin}/rooms/${room}`, {
					dispatcher: agent,
					headers: { authorization: `Bearer ${token}` },
				});
				expect(answer.status).toBe(200);
				await cluster.add(index);
			}
			await agent.destroy();
		};

		it("nginx passes pages and documents, and goes on without any one instance", async (context) => {
			context.skip(nginx === undefined, "nginx is not installed (Debian's package: nginx-light)");
			using folder = tempFolder("nginx");
			const { cert, key } = selfSigned(folder.path);
			const site = withPorts("nginx.conf")
				.replace("listen 443 ssl", `listen 127.0.0.1:${port} ssl`)
				.replace("/etc/ssl/hub.example.com.crt", cert)
				.replace("/etc/ssl/hub.example.com.key", key);
			writeFileSync(folder.file("nginx.conf"), nginxAround(site, folder.file));
			const args = ["-c", folder.file("nginx.conf"), "-p", folder.path];
			await using _running = await runBalancer(nginx as string, args, port);
			await works(readFileSync(cert, "utf8"), "by-nginx");
		}, 180_000);

		it("HAProxy does the same", async (context) => {
			context.skip(haproxy === undefined, "haproxy is not installed (Debian's package: haproxy)");
			using folder = tempFolder("haproxy");
			const { cert, key } = selfSigned(folder.path);
			writeFileSync(folder.file("hub.pem"), readFileSync(cert, "utf8") + readFileSync(key, "utf8"));
			const site = withPorts("haproxy.cfg")
				.replace("bind :443 ssl crt /etc/ssl/warren", `bind 127.0.0.1:${port} ssl crt ${folder.file("hub.pem")}`)
				.replace("bind :8888", `bind 127.0.0.1:${await freePort()}`);
			writeFileSync(folder.file("haproxy.cfg"), site);
			await using _running = await runBalancer(haproxy as string, ["-db", "-f", folder.file("haproxy.cfg")], port);
			await works(readFileSync(cert, "utf8"), "by-haproxy");
		}, 180_000);

		it("Caddy does the same", async (context) => {
			context.skip(caddy === undefined, "caddy is not installed (Debian's package: caddy)");
			using folder = tempFolder("caddy");
			const { cert, key } = selfSigned(folder.path);
			const site = withPorts("Caddyfile").replace(
				"hub.example.com {",
				`{\n\tadmin off\n\tauto_https disable_redirects\n}\nhub.example.com:${port} {\n\tbind 127.0.0.1\n\ttls ${cert} ${key}`,
			);
			writeFileSync(folder.file("Caddyfile"), site);
			mkdirSync(folder.file("home"));
			const args = ["run", "--config", folder.file("Caddyfile"), "--adapter", "caddyfile"];
			await using _running = await runBalancer(caddy as string, args, port, { HOME: folder.file("home") });
			await works(readFileSync(cert, "utf8"), "by-caddy");
		}, 180_000);
	},
);

function selfSigned(folder: string): { cert: string; key: string } {
	const [cert, key] = [`${folder}/hub.crt`, `${folder}/hub.key`];
	const subject = ["-subj", "/CN=hub.example.com", "-addext", "subjectAltName=DNS:hub.example.com"];
	const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"];
	const made = spawnSync("openssl", ["req", "-x509", ...curve, "-nodes", "-keyout", key, "-out", cert, ...subject]);
	expect(made.status, String(made.stderr)).toBe(0);
	return { cert, key };
}
