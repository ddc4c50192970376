import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { startServer } from "@warren/testkit";
import { Pool } from "undici";
import { percentile, ScaleCluster } from "./cluster.ts";

const admin = "an-administrator-of-benches";

export interface BackboneFigures {
	readonly requestsPerSecond: number;
	readonly p99Ms: number;
	/** From kill -9 of a node until its clients were served at another. */
	readonly recoveryMs: number | null;
}

/** Requests with an identity, spread over all nodes; the one agent hangs at the first, so that most of them cross a hop. */
export async function measureBackbone(nodes: number, forMs: number, concurrency: number): Promise<BackboneFigures> {
	await using cluster = await ScaleCluster.start(nodes, ["backbone", "--http", "--stream-ports", "0-0"], {
		env: { BACKBONE_ADMIN_TOKEN: admin },
		copied: ["backbone/master.secret"],
		nats: true,
	});
	const service = createServer((_request, response) => response.end("x".repeat(64)));
	await new Promise<void>((resolve) => service.listen(0, "127.0.0.1", resolve));
	const api = async (path: string, body: object) => {
		const answer = await fetch(`http://127.0.0.1:${cluster.instances[0]?.port}${path}`, {
			method: "POST",
			headers: { authorization: `Bearer ${admin}`, "content-type": "application/json" },
			body: JSON.stringify(body),
		});
		return (await answer.json()) as Record<string, string>;
	};
	const { token = "" } = await api("/admin/api/tokens", { service_name: "web" });
	const { principal_id = "", credential = "" } = await api("/principals", { name: "Ada", email: "a@b.c" });
	await api("/admin/api/grants", { principal_id, service: "web" });
	const agents = cluster.instances
		.slice(0, 2)
		.map(({ port }) =>
			startServer(
				[
					"agent",
					"--backbone",
					`http://127.0.0.1:${port}`,
					"--service",
					"web",
					"--target",
					`127.0.0.1:${(service.address() as AddressInfo).port}`,
				],
				{ BACKBONE_SERVICE_TOKEN: token },
			),
		);
	const pools = cluster.instances.map(({ port }) => new Pool(`http://127.0.0.1:${port}`, { connections: concurrency }));
	const headers = { host: "web.localhost", "x-backbone-principal": credential };
	const ask = async (index: number) => {
		const pool = pools[index % pools.length] as Pool;
		const answer = await pool.request({ path: "/", method: "GET", headers, headersTimeout: 5_000 });
		await answer.body.dump();
		return answer.statusCode === 200;
	};
	try {
		await Promise.all(agents);
		for (const index of pools.keys()) while (!(await ask(index).catch(() => false)));
		const latencies: number[] = [];
		const until = performance.now() + forMs;
		await Promise.all(
			Array.from({ length: concurrency }, async (_each, worker) => {
				while (performance.now() < until) {
					const startedAt = performance.now();
					if (await ask(worker)) latencies.push(performance.now() - startedAt);
				}
			}),
		);
		let recoveryMs: number | null = null;
		if (nodes > 1) {
			await cluster.instances[0]?.process.kill("SIGKILL");
			const startedAt = performance.now();
			while (!(await ask(2).catch(() => false)));
			recoveryMs = performance.now() - startedAt;
		}
		return { requestsPerSecond: (latencies.length / forMs) * 1000, p99Ms: percentile(latencies, 0.99), recoveryMs };
	} finally {
		for (const pool of pools) await pool.destroy();
		for (const agent of await Promise.allSettled(agents))
			if (agent.status === "fulfilled") await agent.value[Symbol.asyncDispose]();
		service.closeAllConnections();
		service.close();
	}
}
