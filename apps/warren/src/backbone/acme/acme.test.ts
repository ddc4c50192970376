import { X509Certificate } from "node:crypto";
import { chmodSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { type AddressInfo, connect as connectTcp, createServer } from "node:net";
import { connect, type PeerCertificate } from "node:tls";
import { type BackboneTables, backboneSchema, SharedSecrets } from "@warren/backbone";
import { Lifetime, silentLogger, systemClock, systemRandom } from "@warren/kernel";
import { MemoryBus, openSqliteTables } from "@warren/store";
import { type GoProgram, goProgram, tempFolder } from "@warren/testkit";
import { afterEach, beforeAll, beforeEach, describe, expect, it } from "vitest";
import { parseBackboneConfig } from "../../config/backbone-config.ts";
import { type BackboneRole, openBackboneRole } from "../backbone-role.ts";
import { AcmeAccount, sharedAccountKey } from "./acme-account.ts";
import { HttpSolver } from "./challenges.ts";
import { TestAcme } from "./pebble.testing.ts";
import { SharedOrders } from "./shared-orders.ts";

const deps = { clock: systemClock, random: systemRandom, logger: silentLogger };
const orderMs = 60_000;
const adminToken = "an-administrator-of-tests";

let pebble: GoProgram;
let folder: ReturnType<typeof tempFolder>;
let roles: BackboneRole[];
beforeAll(async () => {
	pebble = await goProgram("github.com/letsencrypt/pebble/v2/cmd/pebble", "v2.10.1");
}, 300_000);
beforeEach(() => {
	folder = tempFolder("acme");
	roles = [];
});
afterEach(async () => {
	for (const role of roles) await role.close();
	folder[Symbol.dispose]();
});

async function start(directory: string, flags: Record<string, unknown> = {}): Promise<BackboneRole> {
	const config = parseBackboneConfig(
		{
			...{ data: folder.file("data"), host: "127.0.0.1", port: "0", domain: "mos.example.com", streamPorts: "0-0" },
			...{ acme: true, acmeDirectory: directory, acmeEmail: "ops@example.com" },
			...flags,
		},
		{ BACKBONE_ADMIN_TOKEN: adminToken },
	);
	const role = await openBackboneRole(deps, config);
	roles.push(role);
	return role;
}

/** What a client that trusts `root` is shown. @returns why it would not go on, or the certificate. */
function shown(port: number, servername: string, root: string): Promise<string | PeerCertificate> {
	return new Promise((resolve) => {
		const socket = connect({ port, host: "127.0.0.1", servername, ca: root }, () => {
			resolve(socket.getPeerCertificate());
			socket.destroy();
		});
		socket.on("error", (fault) => resolve(fault.message));
	});
}

const named = async (port: number, servername: string, root: string) => {
	const found = await shown(port, servername, root);
	return typeof found === "string" ? found : found.subjectaltname?.split(", ").sort().join(", ");
};

/** Asks the API, over TLS that is not what is tried here. */
async function api(role: BackboneRole, method: string, path: string, body?: object): Promise<any> {
	const { Agent, fetch } = await import("undici");
	const dispatcher = new Agent({ connect: { rejectUnauthorized: false } });
	const answer = await fetch(`https://127.0.0.1:${role.ready.port}${path}`, {
		method,
		dispatcher,
		headers: { authorization: `Bearer ${adminToken}`, "content-type": "application/json" },
		...(body === undefined ? {} : { body: JSON.stringify(body) }),
	});
	const json = await answer.json();
	await dispatcher.close();
	return json;
}

describe("certificates of a real ACME server", () => {
	it("come for the domain, each service and its own names, over TLS-ALPN on the backbone's own port", {
		timeout: 120_000,
	}, async (context) => {
		context.skip(pebble.file === null, pebble.missing ?? "");
		const ready = Promise.withResolvers<number>();
		await using acme = await TestAcme.start(pebble.file as string, { tls: ready.promise, records: folder.file("dns") });
		const role = await start(acme.directory);
		ready.resolve(role.ready.port);
		const { port } = role.ready;
		// Before any of it is there the local CA serves, and nobody is left without an answer.
		await expect
			.poll(() => named(port, "mos.example.com", acme.root), { timeout: orderMs })
			.toBe("DNS:mos.example.com");
		await api(role, "POST", "/admin/api/tokens", { service_name: "web" });
		await api(role, "PATCH", "/admin/api/services/web", { domains: ["shop.example.net"] });
		for (const name of ["web.mos.example.com", "shop.example.net"])
			await expect.poll(() => named(port, name, acme.root), { timeout: orderMs }).toBe(`DNS:${name}`);
		expect(await api(role, "GET", "/admin/api/health")).toEqual({ status: "ok", conditions: [] });
		for (const file of ["account.key", "mos.example.com.key", "shop.example.net.crt"])
			expect(statSync(folder.file(`data/backbone/acme/${file}`)).mode & 0o777).toBe(0o600);

		// A restart shows the same one: nothing is ordered before it is due.
		const before = (await shown(port, "mos.example.com", acme.root)) as PeerCertificate;
		await role.close();
		const again = await start(acme.directory);
		const after = (await shown(again.ready.port, "mos.example.com", acme.root)) as PeerCertificate;
		expect(after.serialNumber).toBe(before.serialNumber);
	});

	it("come over HTTP on a port of its own", { timeout: 120_000 }, async (context) => {
		context.skip(pebble.file === null, pebble.missing ?? "");
		const ready = Promise.withResolvers<number>();
		await using acme = await TestAcme.start(pebble.file as string, {
			http: ready.promise,
			records: folder.file("dns"),
		});
		const role = await start(acme.directory, { acmeHttpPort: "0" });
		const { port, acmeHttpPort } = role.ready;
		ready.resolve(acmeHttpPort as number);
		await expect
			.poll(() => named(port, "mos.example.com", acme.root), { timeout: orderMs })
			.toBe("DNS:mos.example.com");
		const nothing = await fetch(`http://127.0.0.1:${acmeHttpPort}/.well-known/acme-challenge/guess`);
		expect(nothing.status).toBe(404);
	});

	it("come as one wildcard by a DNS hook, whose records are gone afterwards", { timeout: 120_000 }, async (context) => {
		context.skip(pebble.file === null, pebble.missing ?? "");
		const records = folder.file("dns");
		const hook = folder.file("hook.sh");
		writeFileSync(
			hook,
			`#!/bin/sh\nif [ "$1" = present ]; then echo "$2 $3" >> ${records}; else grep -v "$3" ${records} > ${records}.new; mv ${records}.new ${records}; fi\n`,
		);
		chmodSync(hook, 0o700);
		await using acme = await TestAcme.start(pebble.file as string, { records });
		const role = await start(acme.directory, { acmeDnsHook: hook });
		const { port } = role.ready;
		for (const name of ["mos.example.com", "any.mos.example.com"])
			await expect
				.poll(() => named(port, name, acme.root), { timeout: orderMs })
				.toBe("DNS:*.mos.example.com, DNS:mos.example.com");
		expect(readFileSync(records, "utf8")).toBe("");
	});

	it("of several nodes are one order of one account, its challenge shown by whichever node the authority asks", {
		timeout: 120_000,
	}, async (context) => {
		context.skip(pebble.file === null, pebble.missing ?? "");
		const lifetime = new Lifetime();
		await using _nodes = { [Symbol.asyncDispose]: () => lifetime.close() };
		const tables = lifetime.own(await openSqliteTables<BackboneTables>(":memory:", [backboneSchema]));
		const bus = lifetime.own(new MemoryBus(silentLogger));
		const names = ["one", "two", "three"];
		const solvers: HttpSolver[] = [];
		for (const _node of names) solvers.push(lifetime.own(await HttpSolver.open("127.0.0.1", 0)));
		// Port 80 of the name: each look of the authority's comes to the next node.
		const asked = new Set<number>();
		let turn = 0;
		const front = createServer((near) => {
			const port = (solvers[turn++ % solvers.length] as HttpSolver).port;
			asked.add(port);
			const far = connectTcp(port, "127.0.0.1");
			for (const each of [near, far]) each.on("error", () => near.destroy());
			near.pipe(far).pipe(near);
		});
		await new Promise<void>((resolve) => front.listen(0, "127.0.0.1", resolve));
		lifetime.defer(() => void front.close());
		await using acme = await TestAcme.start(pebble.file as string, {
			http: Promise.resolve((front.address() as AddressInfo).port),
			records: folder.file("dns"),
		});
		let ordered = 0;
		const order = async (node: string, at: number, name: string) => {
			const secrets = new SharedSecrets({ db: tables.db, clock: systemClock, random: systemRandom }, "master-secret");
			const others = () => names.filter((each) => each !== node);
			const orders = lifetime.own(new SharedOrders({ ...deps, secrets, bus, node, others }, solvers[at] as HttpSolver));
			return (wanted = { name, names: [name] }) =>
				orders.obtain(wanted, () => {
					ordered += 1;
					const account = new AcmeAccount(sharedAccountKey(secrets), acme.directory, "ops@example.com");
					return account.order(wanted.names, orders.solver);
				});
		};
		const nodes = await Promise.all(names.map((node, at) => order(node, at, "shop.example.com")));
		const given = await Promise.all(nodes.map((obtain) => obtain()));
		expect(ordered).toBe(1);
		expect(new Set(given.map(({ cert }) => cert)).size).toBe(1);
		const leaf = new X509Certificate(given[0]?.cert ?? "");
		expect(leaf.subjectAltName).toBe("DNS:shop.example.com");
		// Other names until the authority has looked at each node.
		for (let more = 0; asked.size < names.length && more < 6; more++) {
			const wanted = { name: `s${more}.example.com`, names: [`s${more}.example.com`] };
			await (nodes[more % nodes.length] as (typeof nodes)[number])(wanted);
		}
		expect(asked.size).toBe(names.length);
	});

	it("that do not come are named in health, with what to do, and the backbone serves on", {
		timeout: 120_000,
	}, async (context) => {
		context.skip(pebble.file === null, pebble.missing ?? "");
		// Every name leads to a port where nothing listens.
		await using acme = await TestAcme.start(pebble.file as string, {
			tls: Promise.resolve(1),
			records: folder.file("dns"),
		});
		const role = await start(acme.directory);
		const health = () => api(role, "GET", "/admin/api/health");
		await expect.poll(health, { timeout: orderMs }).toMatchObject({
			status: "error",
			conditions: [{ code: "acme-certificate-missing", subject: "mos.example.com" }],
		});
		const [condition] = (await health()).conditions;
		expect(condition.title).toMatch(/mos\.example\.com .*(refused|reset|EOF|connect)/i);
		expect(condition.advice).toContain("443");
		expect(await named(role.ready.port, "mos.example.com", acme.root)).toMatch(/self-signed|unable to/);
	});
});

describe("--acme", () => {
	it("is refused for names that no authority signs, and with --http", () => {
		const parse = (flags: Record<string, unknown>) => parseBackboneConfig({ data: "/tmp/x", acme: true, ...flags }, {});
		expect(() => parse({})).toThrow(/cannot get a certificate for "localhost"/);
		expect(() => parse({ domain: "mos.internal" })).toThrow(/mos\.internal/);
		expect(() => parse({ domain: "mos.example.com", http: true })).toThrow(/--http uses none/);
		expect(parse({ domain: "mos.example.com" }).acmeDirectory).toMatch(/^https:/);
	});
});
