import { randomBytes } from "node:crypto";
import { copyFileSync, existsSync, mkdirSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import {
	type FaultRelay,
	faultRelay,
	freePort,
	noNats,
	noPostgres,
	type StartedCommand,
	startCommand,
	startServer,
	TestNats,
	TestPostgres,
	tempFolder,
} from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { GatewayMesh } from "./gateway-mesh.ts";
import { visit } from "./visit.ts";

const reason = noPostgres() ?? noNats();
const admin = "an-administrator-of-tests";
const local = ["--host", "127.0.0.1", "--port", "0", "--json"];

interface Moved {
	readonly rows: number;
	readonly sums: Readonly<Record<string, { readonly rows: number; readonly sha256: string }>>;
	readonly former: string | null;
}

/** Roles that were one process on a folder of their own go into one database, and back: nobody who calls them notices. */
describe.skipIf(reason !== null)(
	"warren migrate --role (skipped where PostgreSQL or nats-server is not installed)",
	{ timeout: 300_000 },
	() => {
		let postgres: TestPostgres;
		let nats: TestNats;
		let database: string;
		let toDatabase: FaultRelay;
		const folder = tempFolder("migrate-roles");
		const home = (name: string) => join(folder.path, name);
		const env = { BACKBONE_ADMIN_TOKEN: admin, WARREN_ADMIN_TOKEN: admin, WARREN_GATEWAY_ADMIN_TOKEN: admin };

		beforeAll(async () => {
			postgres = new TestPostgres({ port: await freePort() });
			nats = await TestNats.start();
			// One for all roles, as in the examples.
			toDatabase = await faultRelay({ host: "127.0.0.1", port: postgres.port });
			database = `postgres://${postgres.user}@127.0.0.1:${toDatabase.port}/${postgres.createDatabase()}`;
		}, 180_000);
		afterAll(async () => {
			await nats?.[Symbol.asyncDispose]();
			await toDatabase?.close();
			postgres?.[Symbol.dispose]();
			folder[Symbol.dispose]();
		});

		const backends = (role: string) => [
			...["--database", database],
			...(role === "backbone" ? ["--nats", `nats://127.0.0.1:${nats.port}`] : []),
		];
		const migrate = (role: string, to: string, where = role): StartedCommand =>
			startCommand(["migrate", "--role", role, "--to", to, "--json", ...backends(role)], { home: home(where), env });
		const moved = async (role: string, to: string): Promise<Moved> => {
			const command = migrate(role, to);
			const done = await command.line<Moved>();
			expect(await command.exited).toBe(0);
			return done;
		};
		/** Enough rows of a table that a migration is in its middle for a while. */
		const many = 12_000;
		/** Killed once while it copies that table, and started again. */
		const movedAfterKill = async (role: string, to: string, table: string): Promise<Moved> => {
			// It gets no further than this process lets its words pass.
			toDatabase.faults.delayMs = 20;
			const killed = migrate(role, to);
			await expect.poll(() => killed.log(), { timeout: 60_000, interval: 5 }).toContain(`${table}: 500 rows`);
			await killed.kill("SIGKILL");
			toDatabase.faults.delayMs = 0;
			// Of gateway and coordinator the one that was killed leads for three seconds more.
			const done = await moved(role, to);
			expect(done.rows).toBeGreaterThan(0);
			expect(done.rows, "it went on where it was").toBeLessThan(many);
			expect(done.sums[table]?.rows).toBeGreaterThanOrEqual(many);
			return done;
		};
		const fill = (role: string, sql: string) => {
			const file = new DatabaseSync(join(home(role), `data/${role}.db`));
			file.exec(sql);
			file.close();
		};
		const refused = async (role: string, to: string, where = role) => {
			const command = migrate(role, to, where);
			expect(await command.exited).toBe(1);
			return command.log();
		};
		/** Starts a role, does something with it, and stops it. */
		const running = async <T>(
			args: readonly string[],
			work: (origin: string, port: number) => Promise<T>,
			more: Readonly<Record<string, string>> = {},
		): Promise<T> => {
			const [role] = args as [string];
			const started = startCommand([...args, ...local], { home: home(role), env: { ...env, ...more } });
			try {
				const { port } = await started.line<{ port: number }>();
				return await work(`http://127.0.0.1:${port}`, port);
			} finally {
				await started.kill("SIGTERM");
			}
		};
		const call = async (origin: string, method: string, path: string, body?: unknown) => {
			const answer = await fetch(`${origin}${path}`, {
				method,
				headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" },
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
			});
			const text = await answer.text();
			return { status: answer.status, body: (/^[[{]/.test(text) ? JSON.parse(text) : text) as any };
		};
		const rolesInAudit = async (origin: string, path: string) => [
			...new Set(((await call(origin, "GET", path)).body.records as { role: string }[]).map(({ role }) => role)),
		];

		it("a gateway: who has registered, and what waits for them in order; killed in between, on the way and back", async () => {
			const secret = "a-secret-of-a-mesh";
			const queued = (from: number, to: number) => Array.from({ length: to - from }, (_, at) => `m${from + at}`);
			const flags = ["gateway", "--messages-per-minute", "1000000"];
			await running(flags, async (origin, port) => {
				for (const meshId of ["a", "b"])
					expect((await call(origin, "POST", "/register", { meshId, secret, name: meshId })).status).toBe(200);
				// Messages wait for who has said that it takes them so.
				await (await GatewayMesh.meet(port, "b", secret)).leave();
				using a = await GatewayMesh.meet(port, "a", secret);
				for (const id of queued(0, 20)) expect(await a.relay(id, "b")).toBe("queued");
			});
			fill(
				"gateway",
				`insert into gateway_queue with recursive n(i) as (select 1000 union all select i + 1 from n where i < 12999)
				select 'c', i, 'a', 'x' || i, '{}', 2, 4102444800000 from n`,
			);
			const once = (to: string) => movedAfterKill("gateway", to, "gateway_queue");
			const there = await once("database");
			expect(there.sums["gateway_queue"]?.rows).toBe(12_020);
			expect([existsSync(join(home("gateway"), "data/gateway.db")), existsSync(there.former as string)]).toEqual([
				false,
				true,
			]);
			await running([...flags, ...backends("gateway")], async (origin, port) => {
				using a = await GatewayMesh.meet(port, "a", secret);
				expect(await a.relay("m20", "b")).toBe("queued");
				expect(await rolesInAudit(origin, "/admin/api/audit")).toEqual(["gateway"]);
				expect(await refused("gateway", "folder")).toContain("is in use by process");
				expect(await refused("gateway", "folder", "elsewhere")).toContain("An instance of this gateway is running");
			});
			const here = await once("folder");
			expect(here.sums["gateway_meshes"]).toEqual(there.sums["gateway_meshes"]);
			await running(flags, async (_origin, port) => {
				using b = await GatewayMesh.meet(port, "b", secret);
				await b.until(() => b.got.length >= 21);
				expect(b.got).toEqual(queued(0, 21));
			});
			const stale = startCommand([...flags, ...local, ...backends("gateway")], { home: home("stale") });
			expect(await stale.exited).toBe(1);
			expect(stale.log()).toMatch(/The gateway was moved out of this database into a folder, at 20\d\d-/);
			const again = await refused("gateway", "database");
			expect(again).toContain("holds rows already");
			expect(existsSync(join(home("gateway"), "data/gateway.db"))).toBe(true);
		});

		it("a coordinator: the address of every machine, who was removed, and the policy; killed in between, on the way and back", async () => {
			const keys = Object.fromEntries(
				["one", "two", "out", "new"].map((name) => [name, randomBytes(32).toString("base64")]),
			);
			const insecure = { WARREN_ALLOW_INSECURE: "1" };
			const flags = ["coordinator", "--insecure-no-mtls", "--no-stun"];
			const register = async (origin: string, name: string) =>
				call(origin, "POST", "/v1/mesh/register", { wg_public_key: keys[name], display_name: name });
			const policy = { acls: [{ action: "accept", src: ["*"], dst: ["*"] }] };
			const addresses = async (origin: string) => [
				(await register(origin, "one")).body.ula,
				(await register(origin, "two")).body.ula,
			];
			let service = "";
			const before = await running(
				flags,
				async (origin) => {
					const { headers } = await fetch(`${origin}/v1/policy`, { headers: { authorization: `Bearer ${admin}` } });
					const put = await fetch(`${origin}/v1/policy`, {
						method: "PUT",
						headers: { authorization: `Bearer ${admin}`, "if-match": headers.get("etag") ?? "" },
						body: JSON.stringify(policy),
					});
					expect(put.status, await put.text()).toBe(200);
					const found = await addresses(origin);
					const { body } = await register(origin, "out");
					expect((await call(origin, "DELETE", `/v1/mesh/peers/${body.peer_id}`)).status).toBeLessThan(300);
					service = (await call(origin, "PUT", "/v1/services/web", {})).body.uuid;
					expect(service).toMatch(/^[0-9a-f-]{36}$/);
					return found;
				},
				insecure,
			);
			fill(
				"coordinator",
				`insert into coordinator_addresses with recursive n(i) as (select 1 union all select i + 1 from n where i < ${many})
				select 'key-' || i, 'peer-' || i, network, ula || '-' || i, holder, tags, 1 from n, (select * from coordinator_addresses limit 1)`,
			);
			const table = "coordinator_shared_addresses";
			const there = await movedAfterKill("coordinator", "database", table);
			expect(there.sums[table]?.rows).toBe(many + 3);
			const same = async (origin: string) => {
				expect(await addresses(origin)).toEqual(before);
				expect((await call(origin, "GET", "/v1/policy")).body).toEqual(policy);
				expect((await call(origin, "PUT", "/v1/services/web", {})).body.uuid).toBe(service);
				expect((await register(origin, "out")).status, "it stays out").toBe(403);
				expect((await register(origin, "new")).status).toBe(200);
				expect(before).not.toContain((await register(origin, "new")).body.ula);
			};
			await running(
				[...flags, ...backends("coordinator")],
				async (origin) => {
					await same(origin);
					expect(await rolesInAudit(origin, "/v1/audit")).toEqual(["coordinator"]);
				},
				insecure,
			);
			const here = await movedAfterKill("coordinator", "folder", table);
			expect(here.sums[table]?.rows).toBe(many + 4);
			await running(flags, same, insecure);
		});

		it("a backbone: credentials, grants, agents' tokens and the keys that sign, as they were; killed in between, on the way and back", async () => {
			const service = createServer((request, response) => response.end(`served ${request.url}`));
			await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
			const target = (service.address() as AddressInfo).port;
			const flags = ["backbone", "--http", "--stream-ports", "0-0"];
			const kids = async (origin: string) =>
				((await call(origin, "GET", "/.well-known/jwks.json")).body.keys as { kid: string }[]).map(({ kid }) => kid);
			const made = await running(flags, async (origin) => {
				const { token } = (await call(origin, "POST", "/admin/api/tokens", { service_name: "web" })).body;
				const { body } = await call(origin, "POST", "/principals", { name: "Ada", email: "a@b.c" });
				const { credential, principal_id } = { ...body, ...body.principal };
				expect((await call(origin, "POST", "/admin/api/grants", { principal_id, service: "web" })).status).toBe(201);
				// Since then the keys are others than the one that it began with.
				expect((await call(origin, "POST", "/admin/api/jwt-keys/rotate")).status).toBe(200);
				return { token, credential, kids: await kids(origin) };
			});
			expect(made.kids).toHaveLength(2);
			const serves = async (origin: string, port: number) => {
				expect(await kids(origin)).toEqual(made.kids);
				await using agent = await startServer(
					["agent", "--backbone", origin, "--service", "web", "--target", `127.0.0.1:${target}`],
					{ BACKBONE_SERVICE_TOKEN: made.token },
				);
				expect(agent.pid).toBeGreaterThan(0);
				const headers = { "x-backbone-principal": made.credential };
				await expect
					.poll(() => visit(port, "web.localhost", "/", headers), { timeout: 30_000 })
					.toEqual({ status: 200, body: "served /" });
			};
			try {
				fill(
					"backbone",
					`insert into backbone_grants with recursive n(i) as (select 1 union all select i + 1 from n where i < ${many})
					select 'nobody', 's' || i, 'test', 1 from n`,
				);
				const there = await movedAfterKill("backbone", "database", "backbone_grants");
				expect(there.sums["backbone_grants"]?.rows).toBe(many + 1);
				await running([...flags, ...backends("backbone")], async (origin, port) => {
					await serves(origin, port);
					expect(await rolesInAudit(origin, "/admin/api/audit")).toEqual(["backbone"]);
					mkdirSync(join(home("copy"), "data/backbone"), { recursive: true, mode: 0o700 });
					const [from, to] = [home("backbone"), home("copy")].map((each) => join(each, "data/backbone/master.secret"));
					copyFileSync(from as string, to as string);
					expect(await refused("backbone", "folder", "copy")).toContain("Nodes of this backbone are running");
				});
				mkdirSync(join(home("foreign"), "data/backbone"), { recursive: true, mode: 0o700 });
				writeFileSync(join(home("foreign"), "data/backbone/master.secret"), `${"x".repeat(43)}\n`, { mode: 0o600 });
				expect(await refused("backbone", "folder", "foreign")).toContain("master secret is not the one");
				const here = await movedAfterKill("backbone", "folder", "backbone_grants");
				expect(here.sums["backbone_grants"]).toEqual(there.sums["backbone_grants"]);
				await running(flags, serves);
			} finally {
				service.closeAllConnections();
				service.close();
			}
		});

		it("what is half or contradicts itself is refused in words", async () => {
			const run = async (args: readonly string[]) => {
				const command = startCommand(["migrate", "--to", "database", ...args], { home: home("half") });
				return `${await command.exited} ${command.log()}`;
			};
			expect(await run(["--role", "gateway"])).toMatch(/^1 .*Nobody says which database/);
			expect(await run(["--role", "backbone", "--database", database])).toMatch(/^1 .*--nats/);
			expect(await run(["--role", "gateway", "--database", database, "--nats", "nats://127.0.0.1"])).toMatch(
				/^1 .*--nats is set/,
			);
			expect(await run(["--role", "gateway", "--database", database])).toMatch(/^1 .*There is no gateway\.db/);
		});
	},
);
