import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { type FaultRelay, noNats, noPostgres, type StartedServer, startServer } from "@warren/testkit";
import { describe, expect, it } from "vitest";
import { Cluster, print, stall } from "./cluster.ts";
import { GatewayMesh } from "./gateway-mesh.ts";
import { visit } from "./visit.ts";

/** Instances that do not reach each other, while each of them reaches the database and its clients. */
const missing = noPostgres() ?? noNats();
const admin = "an-administrator-of-tests";

describe.skipIf(missing !== null)(
	"a partition between instances (skipped where PostgreSQL or nats-server is missing)",
	{ timeout: 300_000 },
	() => {
		it("of backbones: a client is served through a node that can be reached, and by none of them is 503 until one can", async () => {
			await using cluster = await Cluster.start(3, {
				role: "backbone",
				flags: ["--http", "--stream-ports", "0-0"],
				env: { BACKBONE_ADMIN_TOKEN: admin },
				copied: ["backbone/master.secret"],
				reachedAt: (port) => ["--cluster-url", `http://127.0.0.1:${port}`],
			});
			const made = await fetch(`${cluster.at(0).origin}/admin/api/tokens`, {
				method: "POST",
				headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" },
				body: JSON.stringify({ service_name: "web" }),
			});
			const { token } = (await made.json()) as { token: string };
			const agents: StartedServer[] = [];
			const services = [0, 1].map((index) => createServer((_request, response) => response.end(`by ${index}`)));
			try {
				for (const [index, service] of services.entries()) {
					await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
					const target = `127.0.0.1:${(service.address() as AddressInfo).port}`;
					const args = ["agent", "--backbone", cluster.at(index).origin, "--service", "web", "--target", target];
					agents.push(await startServer(args, { BACKBONE_SERVICE_TOKEN: token }));
				}
				const come = async () => {
					const { status, body } = await visit(cluster.at(2).port, "web.localhost");
					return status === 200 ? body : status;
				};
				const agentsKnown = async () => {
					const init = { headers: { authorization: `Bearer ${admin}` } };
					const answer = await fetch(`${cluster.at(2).origin}/admin/api/cluster`, init);
					const { nodes } = (await answer.json()) as { nodes: { agents: unknown[] }[] };
					return nodes.filter(({ agents: hang }) => hang.length === 1).length;
				};
				await expect.poll(agentsKnown, patient).toBe(2);
				await expect.poll(come, patient).toMatch(/^by [01]$/);
				// The one by which it goes now, and the other.
				const one = Number(String(await come()).slice(3));
				const [first, second] = [one, 1 - one].map((index) => cluster.at(index).fromOthers as FaultRelay);
				cutOff(first as FaultRelay);
				const startedAt = performance.now();
				await expect.poll(come, patient).toBe(`by ${1 - one}`);
				print("backbone, a node that another does not reach", performance.now() - startedAt);
				for (let times = 0; times < 10; times++) expect(await come()).toBe(`by ${1 - one}`);
				cutOff(second as FaultRelay);
				await expect.poll(come, patient).toBe(503);
				// At the nodes themselves nobody notices.
				for (const index of [0, 1])
					expect((await visit(cluster.at(index).port, "web.localhost")).body).toBe(`by ${index}`);
				stall(first as FaultRelay, false);
				await expect.poll(come, patient).toBe(`by ${one}`);
			} finally {
				for (const agent of agents) await agent[Symbol.asyncDispose]();
				for (const service of services) {
					service.closeAllConnections();
					service.close();
				}
			}
		});

		it("of gateways: who is at an instance that does not reach the leader is away, and gets what was kept, once and in order", async () => {
			await using cluster = await Cluster.start(2, {
				role: "gateway",
				flags: [],
				withoutNats: true,
				reachedAt: (port) => ["--cluster-address", `127.0.0.1:${port}`],
			});
			const secret = "a-secret-of-a-mesh";
			for (const meshId of ["a", "b"])
				await fetch(`${cluster.at(0).origin}/register`, {
					method: "POST",
					body: JSON.stringify({ meshId, secret, name: meshId }),
				});
			const { epoch } = await cluster.leadership("gateway");
			using a = await GatewayMesh.meet(cluster.at(0).port, "a", secret);
			using b = await GatewayMesh.meet(cluster.at(1).port, "b", secret);
			const way = cluster.at(0).fromOthers as FaultRelay;
			cutOff(way);
			await b.ended;
			for (const id of ["one", "two", "three"]) expect(await a.relay(id, "b")).toBe("queued");
			await expect(GatewayMesh.meet(cluster.at(1).port, "b", secret)).rejects.toThrow();
			stall(way, false);
			using again = await GatewayMesh.meet(cluster.at(1).port, "b", secret);
			await again.until(() => again.got.length >= 3);
			expect(again.got).toEqual(["one", "two", "three"]);
			// Nobody took the lead for it: whoever leads reaches the database.
			expect((await cluster.leadership("gateway")).epoch).toBe(epoch);
		});
	},
);

const patient = { timeout: 60_000, interval: 50 };

/** What stands ends, and what comes meets silence. */
function cutOff(way: FaultRelay): void {
	stall(way, true);
	way.cut();
}
