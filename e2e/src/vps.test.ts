import { existsSync } from "node:fs";
import { join } from "node:path";
import { systemClock, systemRandom } from "@warren/kernel";
import { Authority } from "@warren/net";
import { noNats, noPostgres } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { balancers } from "./balancer.ts";
import { BootedSystem, cannotBoot } from "./booted-system.ts";

/** examples/cluster/vps.sh as an operator runs it: as root of a Debian that systemd has booted. */
const top = join(import.meta.dirname, "../..");
const examples = join(top, "examples/cluster");
const domain = "mos.example.com";
const backbones = [5152, 5153, 5154];
const gateways = [4000, 4001, 4002];
const coordinators = [8889, 8890];

function missing(): string | null {
	const engines = noPostgres() ?? noNats();
	if (engines !== null) return engines;
	if (balancers.nginx === undefined || balancers.nginxStream === undefined)
		return "nginx with its stream module is not installed: the script would fetch it";
	if (!existsSync("/usr/bin/pg_ctlcluster")) return "PostgreSQL is not Debian's";
	return cannotBoot();
}
const reason = missing();

describe.skipIf(reason !== null)(
	"vps.sh on a machine of its own (skipped where none can be booted, or Debian's packages are not installed)",
	{ timeout: 300_000 },
	() => {
		let system: BootedSystem;
		beforeAll(async () => {
			// Other proxies of this machine would have its ports.
			system = await BootedSystem.start(top, ["caddy.service", "haproxy.service", "apache2.service"]);
		}, 120_000);
		afterAll(() => system?.[Symbol.asyncDispose]());

		const setUp = () => system.run(["sh", join(examples, "vps.sh")], { DOMAIN: domain });
		const curl = async (...words: readonly string[]) => {
			const { text } = await system.run(["curl", "-sS", "--max-time", "10", ...words]);
			return text;
		};
		const nodesSeenBy = async (port: number) => {
			const admin = await system.ask("cat", "/etc/warren/backbone-admin");
			const text = await curl("-H", `authorization: Bearer ${admin}`, `http://127.0.0.1:${port}/admin/api/cluster`);
			return (JSON.parse(text) as { nodes: { url: string }[] }).nodes.map((each) => each.url).sort();
		};
		const everyNode = backbones.map((port) => `http://127.0.0.1:${port}`);
		const units = [
			...backbones.map((port) => `warren-role@backbone-${port}`),
			...gateways.map((port) => `warren-role@gateway-${port}`),
			...coordinators.map((port) => `warren-role@coordinator-${port}`),
		];
		const pidOf = (unit: string) => system.ask("systemctl", "show", "--property=MainPID", "--value", unit);

		it("begins nothing where warren is not installed, or nobody says the domain", async () => {
			expect(await setUp()).toMatchObject({ code: 1, text: expect.stringContaining("warren is not installed") });
			const { code, text } = await system.run(["sh", join(examples, "vps.sh")]);
			expect([code !== 0, text]).toEqual([true, expect.stringContaining("set DOMAIN")]);
			expect((await system.run(["id", "warren"])).code, "no user was made").not.toBe(0);
			expect((await system.run(["test", "-e", "/etc/warren"])).code).not.toBe(0);
		});

		it("leaves every role running as its own user, in one cluster each, with its secrets 0600", async () => {
			const main = join(top, "apps/warren/src/main.js");
			await system.write("/usr/local/bin/warren", `#!/bin/sh\nexec ${process.execPath} ${main} "$@"\n`, "0755");
			const done = await setUp();
			expect(done, done.text).toMatchObject({ code: 0 });
			for (const unit of units) {
				expect(await system.ask("systemctl", "is-active", unit)).toBe("active");
				expect(await system.ask("ps", "-o", "user=", "-p", await pidOf(unit))).toBe("warren");
			}
			for (const port of backbones) await expect.poll(() => nodesSeenBy(port)).toEqual(everyNode);
			for (const port of gateways)
				await expect.poll(() => curl(`http://127.0.0.1:${port}/health`)).toContain('"ok":true');
			const body = JSON.stringify({ meshId: "m", secret: "a-secret-of-a-mesh", name: "M" });
			const json = ["-H", "content-type: application/json", "-d", body];
			expect(await curl(...json, `http://127.0.0.1:${gateways[2]}/register`)).toBe('{"ok":true}');
			const tls = "/var/lib/warren/coordinator-tls";
			for (const port of coordinators)
				await expect
					.poll(() => curl("--cacert", `${tls}/ca.crt`, `https://localhost:${port}/`).catch(String))
					.toMatch(/certificate required|alert/i);
			const open = await system.ask(
				"find",
				"/etc/warren",
				"/var/lib/warren",
				"-type",
				"f",
				"-perm",
				"/077",
				"-name",
				"*[!b].*",
			);
			expect(open.split("\n").filter((file) => /env$|key$|secret$|hash$|\.db/.test(file))).toEqual([]);
			expect(await system.ask("stat", "-c", "%a", "/etc/warren", "/var/lib/warren")).toBe("700\n700");
		});

		it("keeps what is there when it is run again: secrets, the overlay's CA, PostgreSQL as it runs", async () => {
			const facts = () =>
				Promise.all([
					system.ask("sh", "-c", "sha256sum /etc/warren/*-* /var/lib/warren/*/ca.* /var/lib/warren/*-tls/*"),
					pidOf("postgresql@15-main"),
					system.ask("grep", "-c", "^jetstream", "/etc/nats-server.conf"),
				]);
			const before = await facts();
			const done = await setUp();
			expect(done, done.text).toMatchObject({ code: 0 });
			expect(await facts()).toEqual(before);
			for (const port of backbones) await expect.poll(() => nodesSeenBy(port)).toEqual(everyNode);
		});

		it("an instance that dies is started again, and its nodes find each other", async () => {
			const unit = units[0] as string;
			const before = await pidOf(unit);
			await system.ask("systemctl", "kill", "--signal=KILL", unit);
			await expect.poll(() => pidOf(unit)).not.toMatch(new RegExp(`^(0|${before})$`));
			for (const port of backbones) await expect.poll(() => nodesSeenBy(port).catch(() => [])).toEqual(everyNode);
		});

		it("nginx takes the files of examples/ as they are, and leads to every role", async () => {
			const names = [domain, `web.${domain}`, "gateway.example.com"];
			const { authority, pem } = await Authority.create("test", names, systemClock, systemRandom);
			const leaf = await authority.issue({ name: "balancer", hosts: names });
			for (const name of [domain, "gateway.example.com"]) {
				await system.write(`/etc/ssl/${name}.crt`, leaf.cert);
				await system.write(`/etc/ssl/${name}.key`, leaf.key, "0600");
			}
			await system.write("/root/ca.crt", pem.cert);
			await system.ask("cp", join(examples, "roles-nginx.conf"), "/etc/nginx/sites-enabled/warren-roles");
			await system.ask("cp", join(examples, "roles-nginx-stream.conf"), "/etc/nginx/warren-stream.conf");
			await system.ask("sh", "-c", "echo 'include /etc/nginx/warren-stream.conf;' >>/etc/nginx/nginx.conf");
			await system.ask("nginx", "-t");
			await system.ask("systemctl", "restart", "nginx");
			const through = (name: string, path: string) =>
				curl("--cacert", "/root/ca.crt", "--resolve", `${name}:443:127.0.0.1`, `https://${name}${path}`);
			expect(await through(domain, "/healthz")).toContain('"status":"ok"');
			expect(await through(`web.${domain}`, "/")).toMatch(/web/);
			expect(await through("gateway.example.com", "/health")).toContain('"ok":true');
			const tls = "/var/lib/warren/coordinator-tls";
			const { text } = await system.run([
				...["curl", "-sSv", "--max-time", "10", "--cacert", `${tls}/ca.crt`],
				...["--resolve", `${domain}:8888:127.0.0.1`, `https://${domain}:8888/`],
			]);
			expect(text, "the coordinator's own certificate").toContain("SSL certificate verify ok");
		});
	},
);
