import { type FaultRelay, noNats, noPostgres } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { WebSocket } from "ws";
import { Cluster, print, stall } from "./cluster.ts";

const reason = noPostgres() ?? noNats();
const secret = "a-secret-of-a-mesh";

/** A mesh that keeps what it is given by id, acknowledges it, and comes back elsewhere when its instance fails. */
class Mesh implements Disposable {
	readonly id: string;
	/** What arrived, by id: how often. */
	readonly got = new Map<string, number>();
	readonly receipts = new Map<string, string>();
	readonly order: string[] = [];
	readonly closes: number[] = [];
	readonly #ports: () => readonly number[];
	readonly #features: readonly string[];
	readonly #outbox = new Map<string, object>();
	readonly #watchers = new Set<() => void>();
	#socket: WebSocket | null = null;
	#turn: number;
	#count = 0;
	#closed = false;
	isIn = false;

	constructor(id: string, ports: () => readonly number[], turn: number, features = ["receipts", "queue", "interest"]) {
		this.id = id;
		this.#ports = ports;
		this.#turn = turn;
		this.#features = features;
		this.#connect();
	}

	send(id: string, message: object): void {
		this.#outbox.set(id, { ...message, id });
		if (this.isIn) this.#socket?.send(JSON.stringify({ ...message, id }));
	}

	relay(id: string, targetMeshId: string): void {
		this.send(id, { type: "gateway_relay", targetMeshId, payload: { id } });
	}

	broadcast(id: string): void {
		this.send(id, { type: "gateway_broadcast", room: "all", payload: { id } });
	}

	get unanswered(): number {
		return this.#outbox.size;
	}

	async until(condition: () => boolean): Promise<void> {
		if (condition()) return;
		await new Promise<void>((resolve) => {
			const look = () => {
				if (!condition()) return;
				this.#watchers.delete(look);
				resolve();
			};
			this.#watchers.add(look);
		});
	}

	[Symbol.dispose](): void {
		this.#closed = true;
		this.#socket?.terminate();
	}

	#connect(): void {
		const ports = this.#ports();
		const socket = new WebSocket(`ws://127.0.0.1:${ports[this.#turn++ % ports.length]}/gateway`, {
			handshakeTimeout: 7_000,
		});
		this.#socket = socket;
		socket.on("open", () =>
			socket.send(JSON.stringify({ type: "gateway_auth", meshId: this.id, secret, features: this.#features })),
		);
		socket.on("message", (data) => this.#receive(JSON.parse(String(data))));
		socket.on("error", () => {});
		socket.on("close", (code) => {
			this.closes.push(code);
			this.isIn = false;
			this.#tell();
			// Replaced, and wrong credentials, are for good.
			if (!this.#closed && code !== 4409 && code !== 4401) setTimeout(() => this.#connect(), 50);
		});
	}

	#receive(message: any): void {
		if (message.type === "gateway_auth_ok") {
			this.#count = 0;
			this.#socket?.send(JSON.stringify({ type: "gateway_interest", rooms: ["all"] }));
		} else if (message.type === "gateway_ok") {
			// Only now a broadcast of another is for it.
			this.isIn = true;
			for (const each of this.#outbox.values()) this.#socket?.send(JSON.stringify(each));
		} else if (message.type === "gateway_incoming") {
			this.got.set(message.id, (this.got.get(message.id) ?? 0) + 1);
			if (this.got.get(message.id) === 1) this.order.push(message.id);
			if (this.#features.includes("queue"))
				this.#socket?.send(JSON.stringify({ type: "gateway_ack", count: ++this.#count }));
		} else if (message.type === "gateway_receipt") {
			if (message.retryAfterMs === undefined) {
				this.receipts.set(message.id, message.outcome);
				this.#outbox.delete(message.id);
			} else {
				const waiting = this.#outbox.get(message.id);
				if (waiting !== undefined)
					setTimeout(() => {
						if (this.isIn) this.#socket?.send(JSON.stringify(waiting));
					}, 200);
			}
		}
		this.#tell();
	}

	#tell(): void {
		for (const watcher of [...this.#watchers]) watcher();
	}
}

describe.skipIf(reason !== null)(
	"three gateways over one PostgreSQL (skipped where PostgreSQL or nats-server is missing)",
	() => {
		let cluster: Cluster;
		const ports = () => cluster.instances.map(({ port }) => port);
		/** Who leads, as the database has it. */
		const leader = async () => {
			const { address } = await cluster.leadership("gateway");
			return cluster.instances.findIndex(({ port }) => address.endsWith(`:${port}`));
		};
		const only = (index: number) => () => [cluster.at(index).port];

		beforeAll(async () => {
			cluster = await Cluster.start(3, {
				role: "gateway",
				flags: ["--messages-per-minute", "1000000"],
				withoutNats: true,
			});
			for (const [index, meshId] of ["a", "b", "c", "d"].entries()) {
				const answer = await fetch(`http://127.0.0.1:${cluster.at(index % 3).port}/register`, {
					method: "POST",
					body: JSON.stringify({ meshId, secret, name: meshId.toUpperCase() }),
				});
				expect(answer.status).toBe(200);
			}
		}, 240_000);
		afterAll(async () => {
			await cluster?.[Symbol.asyncDispose]();
		}, 180_000);

		it("meshes at three instances relay, broadcast and get receipts; one that is away gets its queue at another", async () => {
			using a = new Mesh("a", only(0), 0);
			using b = new Mesh("b", only(1), 0);
			{
				using c = new Mesh("c", only(2), 0);
				for (const mesh of [a, b, c]) await mesh.until(() => mesh.isIn);
				a.relay("to-b", "b");
				c.broadcast("to-all");
				await b.until(() => b.got.has("to-b") && b.got.has("to-all"));
				await a.until(() => a.receipts.has("to-b") && a.got.has("to-all"));
				await c.until(() => c.receipts.has("to-all"));
				expect([a.receipts.get("to-b"), c.receipts.get("to-all")]).toEqual(["delivered", "delivered"]);
			}
			// Until it is known here that it has gone, what is for it is passed on, and kept when nobody acknowledges it.
			const queued: string[] = [];
			do {
				const id = `queued-${queued.length}`;
				queued.push(id);
				a.relay(id, "c");
				await a.until(() => a.receipts.has(id));
			} while (queued.length < 2 || a.receipts.get(queued.at(-1) as string) !== "queued");
			using later = new Mesh("c", only(0), 0);
			await later.until(() => later.got.has(queued.at(-1) as string));
			expect(later.order).toEqual(queued);
		}, 120_000);

		it("a second login of a mesh at another instance replaces the first, and the first one's end changes nothing", async () => {
			using first = new Mesh("d", only(1), 0);
			await first.until(() => first.isIn);
			using second = new Mesh("d", only(2), 0);
			await first.until(() => first.closes.length > 0);
			expect(first.closes).toEqual([4409]);
			await second.until(() => second.isIn);
			using a = new Mesh("a", only(0), 0);
			await a.until(() => a.isIn);
			a.relay("after", "d");
			await second.until(() => second.got.has("after"));
			expect([first.got.size, second.closes]).toEqual([0, []]);
		}, 120_000);

		it("a stranger who poses as an instance gets nothing", async () => {
			const { connect } = await import("node:net");
			for (const words of ["WARREN/1\n", "WARREN/1\nx.y\n", `WARREN/1\n${"x".repeat(5000)}`, "WARREN/2\n"]) {
				for (const index of [0, 1, 2]) {
					const socket = connect(cluster.at(index).port, "127.0.0.1");
					let seen = "";
					socket.on("data", (chunk) => (seen += chunk.toString("latin1")));
					socket.on("error", () => {});
					socket.write(words);
					if (!words.includes("x")) socket.end("bm9uZQ.bm9uZQ\n");
					await new Promise((resolve) => socket.once("close", resolve));
					// A challenge, or the parser's word on what is no HTTP; never what an instance is answered.
					expect(seen).toMatch(/^([\w-]{43}\n|HTTP\/1\.1 400[^]*)?$/);
				}
			}
		}, 180_000);

		it("half a configuration, and a database that is not there, refuse to start", async () => {
			const start = async (name: string, args: readonly string[]) => {
				const started = cluster.run(cluster.folder.file(name), 0, args);
				return { code: await started.exited, log: started.log() };
			};
			expect(await start("half", ["--cluster-address", "127.0.0.1:1"])).toMatchObject({
				code: 1,
				log: expect.stringContaining("--cluster-address is set without --database"),
			});
			expect(await start("away", ["--database", "postgres://warren@127.0.0.1:1/warren"])).toMatchObject({
				code: 1,
				log: expect.stringContaining("warren on 127.0.0.1 cannot be opened"),
			});
		}, 180_000);

		it("kill -9 of each instance and of the database, and a partition, under load: nothing acknowledged is lost, nothing kept twice, order stays", async () => {
			using a = new Mesh("a", ports, 0);
			using b = new Mesh("b", ports, 1);
			using c = new Mesh("c", ports, 2);
			for (const mesh of [a, b, c]) await mesh.until(() => mesh.isIn);
			let stop = false;
			let sent = 0;
			const writing = (async () => {
				for (; !stop; sent++) {
					// One after another: that is what makes order a promise.
					const [id, broadcast] = [`r${sent}`, `s${sent}`];
					a.relay(id, "b");
					c.broadcast(broadcast);
					await a.until(() => a.receipts.has(id));
					await c.until(() => c.receipts.has(broadcast));
				}
			})();
			let cut: FaultRelay | null = null;
			const recovery = async (what: string, fault: () => unknown, repair?: () => unknown) => {
				await fault();
				const [startedAt, mark] = [performance.now(), sent + 5];
				await a.until(() => sent >= mark);
				print(`gateway, ${what}`, performance.now() - startedAt);
				await repair?.();
			};
			for (const index of [0, 1, 2])
				await recovery(
					`kill -9 of instance ${index}`,
					() => cluster.at(index).process.kill("SIGKILL"),
					() => cluster.add(index),
				);
			await recovery("kill -9 of PostgreSQL, its restart included", () => {
				cluster.postgres.kill();
				cluster.postgres.restart();
			});
			await recovery(
				"the leader cut off from PostgreSQL",
				async () => {
					const { toDatabase } = cluster.at(await leader());
					const before = a.closes.length;
					stall(toDatabase, true);
					// Every socket ends with the lead, wherever it arrived.
					await a.until(() => a.closes.length > before);
					cut = toDatabase;
				},
				() => cut !== null && stall(cut, false),
			);
			const stopping = await leader();
			await recovery(
				"the leader stops",
				() => cluster.at(stopping).process.kill("SIGTERM"),
				() => cluster.add(stopping),
			);
			const promisedBy = (mesh: Mesh) =>
				[...mesh.receipts].filter(([, outcome]) => outcome === "delivered" || outcome === "queued").map(([id]) => id);
			// A slow machine takes longer for as many.
			await a.until(() => promisedBy(a).length > 50);
			stop = true;
			await writing;
			const promised = promisedBy(a);
			await b.until(() => promised.every((id) => b.got.has(id)));
			const told = [...c.receipts];
			for (const [id, outcome] of told)
				if (outcome === "delivered" || outcome === "queued")
					for (const mesh of [a, b]) await mesh.until(() => mesh.got.has(id));
			// By id, as whoever keeps messages tells them apart.
			const relayed = b.order.filter((id) => id.startsWith("r"));
			expect(relayed).toEqual([...relayed].sort((left, right) => Number(left.slice(1)) - Number(right.slice(1))));
			expect(relayed.length).toBe(new Set(relayed).size);
			print(`gateway, ${promised.length} relays and ${told.length} broadcasts under these faults`, 0);
		}, 240_000);
	},
);
