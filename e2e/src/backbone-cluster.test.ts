import { createServer, Agent as HttpAgent, request } from "node:http";
import type { AddressInfo } from "node:net";
import { Lifetime } from "@warren/kernel";
import { noNats, noPostgres, type StartedServer, startServer } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { Cluster, print, stall } from "./cluster.ts";

const reason = noPostgres() ?? noNats();
const admin = "an-administrator-of-tests";

describe.skipIf(reason !== null)(
	"three backbones over one PostgreSQL and one NATS (skipped where one of them is not installed)",
	() => {
		let cluster: Cluster;
		let lifetime: Lifetime;
		let target: number;
		let credential: string;
		let principal: string;
		const agents = new Map<number, StartedServer>();
		/** Numbers that the service has been asked to keep, each as often as it was. */
		const kept = new Map<string, number>();

		const api = async (index: number, method: string, path: string, body?: object) => {
			const answer = await fetch(`http://127.0.0.1:${cluster.at(index).port}${path}`, {
				method,
				headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" },
				...(body === undefined ? {} : { body: JSON.stringify(body) }),
			});
			return { status: answer.status, json: (await answer.json()) as any };
		};
		const http = new HttpAgent({ keepAlive: true });
		/** As a client behind a balancer: one address, one try. Null = no whole answer. */
		const ask = (index: number, path: string, method = "GET"): Promise<{ status: number; body: string } | null> =>
			new Promise((resolve) => {
				const asked = request(
					{
						...{ host: "127.0.0.1", port: cluster.at(index).port, path, method, agent: http, timeout: 8_000 },
						headers: { host: "web.localhost", "x-backbone-principal": credential },
					},
					(answer) => {
						let body = "";
						answer.setEncoding("utf8").on("data", (text: string) => (body += text));
						answer.on("end", () => resolve({ status: answer.statusCode ?? 0, body }));
						answer.on("error", () => resolve(null));
					},
				);
				asked.on("timeout", () => asked.destroy());
				asked.on("error", () => resolve(null));
				asked.end();
			});

		beforeAll(async () => {
			lifetime = new Lifetime();
			cluster = await Cluster.start(3, {
				role: "backbone",
				flags: ["--http", "--stream-ports", "0-0"],
				env: { BACKBONE_ADMIN_TOKEN: admin },
				copied: ["backbone/master.secret"],
			});
			const service = createServer((incoming, outgoing) => {
				const name = incoming.url ?? "";
				if (incoming.method === "POST") kept.set(name, (kept.get(name) ?? 0) + 1);
				outgoing.end(`${incoming.headers["x-mosb-sub"]} ${name}`);
			});
			await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
			lifetime.defer(() => {
				service.closeAllConnections();
				service.close();
			});
			target = (service.address() as AddressInfo).port;
			const { json } = await api(0, "POST", "/admin/api/tokens", { service_name: "web" });
			const made = await api(1, "POST", "/principals", { name: "Ada", email: "a@b.c" });
			({ credential, principal_id: principal } = { ...made.json, ...made.json.principal });
			expect((await api(2, "POST", "/admin/api/grants", { principal_id: principal, service: "web" })).status).toBe(201);
			// Two agents, each at a node of its own; node three has none.
			for (const index of [0, 1]) {
				const at = `http://127.0.0.1:${cluster.at(index).port}`;
				const args = ["agent", "--backbone", at, "--service", "web", "--target", `127.0.0.1:${target}`];
				const agent = await startServer(args, { BACKBONE_SERVICE_TOKEN: json.token });
				agents.set(index, agent);
			}
		}, 240_000);
		afterAll(async () => {
			http.destroy();
			for (const agent of agents.values()) await agent[Symbol.asyncDispose]();
			await cluster?.[Symbol.asyncDispose]();
			await lifetime.close();
		}, 180_000);

		const nodesAt = async (index: number) =>
			((await api(index, "GET", "/admin/api/cluster")).json.nodes as { self: boolean; agents: object[] }[]).map(
				(each) => ({ ...each, agents: each.agents.length }),
			);

		it("each node serves the agents of all, and says who is there", async () => {
			for (const index of [0, 1, 2]) {
				await expect.poll(async () => (await nodesAt(index)).filter((each) => each.agents === 1).length).toBe(2);
				await expect.poll(() => ask(index, "/hello")).toEqual({ status: 200, body: `${principal} /hello` });
				expect((await nodesAt(index)).map((each) => each.agents).sort()).toEqual([0, 1, 1]);
			}
		});

		it("I2: a signing key that one node replaces is published by all of them", async () => {
			const kidsAt = async (index: number) =>
				((await api(index, "GET", "/.well-known/jwks.json")).json.keys as { kid: string }[]).map(({ kid }) => kid);
			const before = await kidsAt(2);
			const { status, json } = await api(1, "POST", "/admin/api/jwt-keys/rotate");
			expect(status).toBe(200);
			for (const index of [0, 1, 2]) await expect.poll(() => kidsAt(index)).toEqual([...before, json.kid]);
		});

		it("what is half, wrong or not there refuses to start, and says why", async () => {
			const { toDatabase, toNats } = cluster.at(0);
			const both = cluster.backends(toDatabase, toNats);
			const start = async (name: string, backends: readonly string[]) => {
				const started = cluster.run(cluster.folder.file(name), 0, backends);
				return { code: await started.exited, log: started.log() };
			};
			const refusals = await Promise.all([
				start("half", both.slice(0, 2)),
				start("stranger", both),
				start("no-nats", [...both.slice(0, 3), "nats://127.0.0.1:1"]),
				start("no-database", ["--database", "postgres://warren@127.0.0.1:1/warren", ...both.slice(2)]),
			]);
			expect(refusals).toMatchObject([
				{ code: 1, log: expect.stringContaining("--database is set without --nats") },
				{ code: 1, log: expect.stringContaining("has no backbone/master.secret") },
				{ code: 1, log: expect.stringContaining("NATS at 127.0.0.1:1 cannot be reached") },
				{ code: 1, log: expect.stringContaining("warren on 127.0.0.1 cannot be opened") },
			]);
		}, 180_000);

		it("kill -9 of each node, of NATS and of the database in turn, and partitions, under load: what was answered was done once, and every client gets on", async () => {
			let stop = false;
			let sent = 0;
			const answered = new Map<string, number>();
			/** One client at each node, which goes to the next one when its own fails: a balancer's part. */
			const clients = [0, 1, 2].map(async (own) => {
				let index = own;
				for (let n = 0; !stop; n++) {
					const name = `/${own}-${n}`;
					sent += 1;
					const answer = await ask(index, name, "POST");
					if (answer?.status === 200) answered.set(name, own);
					else index = (index + 1) % 3;
					await new Promise((resolve) => setTimeout(resolve, 10));
				}
			});
			/** From the fault until each client was served again. */
			const recovery = async (what: string, fault: () => unknown, repair?: () => unknown) => {
				await fault();
				const startedAt = performance.now();
				const before = [0, 1, 2].map((own) => [...answered.values()].filter((each) => each === own).length);
				await expect
					.poll(
						() =>
							[0, 1, 2].every(
								(own) => [...answered.values()].filter((each) => each === own).length > (before[own] ?? 0) + 3,
							),
						{ timeout: 40_000, interval: 20 },
					)
					.toBe(true);
				print(`backbone, ${what}`, performance.now() - startedAt);
				await repair?.();
			};
			for (const index of [0, 1, 2]) {
				await recovery(
					`kill -9 of node ${index}`,
					() => cluster.at(index).process.kill("SIGKILL"),
					async () => {
						await cluster.add(index);
						await expect
							.poll(async () => (await nodesAt(2)).filter((each) => each.agents === 1).length, { timeout: 30_000 })
							.toBe(2);
					},
				);
			}
			await recovery(
				"kill -9 of NATS",
				() => cluster.nats.kill(),
				() => cluster.nats.restart(),
			);
			await recovery("kill -9 of PostgreSQL, its restart included", () => {
				cluster.postgres.kill();
				cluster.postgres.restart();
			});
			await recovery(
				"a node cut off from NATS",
				() => stall(cluster.at(0).toNats, true),
				() => stall(cluster.at(0).toNats, false),
			);
			await recovery(
				"a node cut off from PostgreSQL",
				() => stall(cluster.at(1).toDatabase, true),
				() => stall(cluster.at(1).toDatabase, false),
			);
			// A slow machine takes longer for as many.
			await expect.poll(() => answered.size, { timeout: 120_000 }).toBeGreaterThan(300);
			stop = true;
			await Promise.all(clients);
			expect(
				[...answered.keys()].filter((name) => kept.get(name) !== 1),
				"answered and not done once",
			).toEqual([]);
			expect(
				[...kept.values()].filter((times) => times > 1),
				"done twice",
			).toEqual([]);
			print(`backbone, ${answered.size} of ${sent} answered under these faults`, 0);
		}, 240_000);

		it("a revocation reaches a node that is cut off from NATS, and one that has the database away fails closed", async () => {
			await expect.poll(async () => (await ask(0, "/before"))?.status, { timeout: 30_000 }).toBe(200);
			const { toNats, toDatabase } = cluster.at(2);
			await expect.poll(async () => (await ask(2, "/before"))?.status, { timeout: 30_000 }).toBe(200);
			stall(toNats, true);
			const startedAt = performance.now();
			await api(0, "DELETE", `/admin/api/grants/${principal}/web`);
			await expect.poll(async () => (await ask(2, "/after"))?.status, { timeout: 20_000 }).toBe(403);
			print("backbone, a revocation at a node without NATS", performance.now() - startedAt);
			stall(toDatabase, true);
			expect((await ask(2, "/blind"))?.status ?? 503).not.toBe(200);
			stall(toDatabase, false);
			stall(toNats, false);
			expect((await ask(0, "/after"))?.status).toBe(403);
		}, 180_000);
	},
);
