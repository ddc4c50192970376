import { WebSocket } from "ws";
import { percentile, ScaleCluster } from "./cluster.ts";

export interface GatewayFigures {
	readonly deliveriesPerSecond: number;
	/** From a broadcast to its last receiver. */
	readonly p99Ms: number;
	/** From kill -9 of the leader until a broadcast reached somebody again. */
	readonly recoveryMs: number | null;
}

const secret = "a-secret-of-a-mesh";

/** Meshes spread over all instances, in one room; one of them broadcasts, a few at a time. */
export async function measureGateway(instances: number, meshes: number, forMs: number): Promise<GatewayFigures> {
	await using cluster = await ScaleCluster.start(instances, ["gateway", "--messages-per-minute", "10000000"], {
		nats: false,
	});
	const ports = cluster.instances.map(({ port }) => port);
	const sockets: WebSocket[] = [];
	const got = new Map<string, { left: number; startedAt: number; done: () => void }>();
	const latencies: number[] = [];
	let deliveries = 0;
	/** Resolves when it is signed in. */
	const join = async (meshId: string, port: number): Promise<WebSocket> => {
		const socket = new WebSocket(`ws://127.0.0.1:${port}/gateway`);
		sockets.push(socket);
		await new Promise<void>((resolve, reject) => {
			socket.on("error", reject);
			socket.on("close", () => reject(new Error("closed")));
			socket.on("open", () => socket.send(JSON.stringify({ type: "gateway_auth", meshId, secret })));
			socket.on("message", (data) => {
				const text = String(data);
				if (text.startsWith('{"type":"gateway_auth_ok"')) return resolve();
				if (!text.startsWith('{"type":"gateway_incoming"')) return;
				deliveries += 1;
				const sent = got.get(/"n":"(\d+)"/.exec(text)?.[1] ?? "");
				if (sent === undefined || --sent.left > 0) return;
				latencies.push(performance.now() - sent.startedAt);
				sent.done();
			});
		});
		return socket;
	};
	try {
		for (let each = 0; each < meshes; each++) {
			const answer = await fetch(`http://127.0.0.1:${ports[each % ports.length]}/register`, {
				method: "POST",
				headers: { "content-type": "application/json" },
				body: JSON.stringify({ meshId: `m${each}`, secret, name: `m${each}` }),
			});
			if (!answer.ok) throw new Error(await answer.text());
		}
		const members: WebSocket[] = [];
		for (let each = 0; each < meshes; each++)
			members.push(await join(`m${each}`, ports[each % ports.length] as number));
		const sender = members[0] as WebSocket;
		let count = 0;
		const broadcast = () =>
			new Promise<void>((done) => {
				const n = String(count++);
				got.set(n, { left: meshes - 1, startedAt: performance.now(), done });
				sender.send(JSON.stringify({ type: "gateway_broadcast", payload: { n } }));
			});
		const until = performance.now() + forMs;
		await Promise.all(
			Array.from({ length: 8 }, async () => {
				while (performance.now() < until) await broadcast();
			}),
		);
		const deliveriesPerSecond = (deliveries / forMs) * 1000;
		let recoveryMs: number | null = null;
		if (instances > 1) {
			for (const socket of sockets) socket.terminate();
			await cluster.instances[0]?.process.kill("SIGKILL");
			const startedAt = performance.now();
			for (;;) {
				const again = await join("m1", ports[1] as number).catch(() => null);
				if (again !== null) break;
			}
			recoveryMs = performance.now() - startedAt;
		}
		return { deliveriesPerSecond, p99Ms: percentile(latencies, 0.99), recoveryMs };
	} finally {
		for (const socket of sockets) {
			socket.on("error", () => {});
			socket.terminate();
		}
	}
}
