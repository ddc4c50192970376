import { ackSubprotocol, decodeFrame, encodeStep1, encodeUpdate } from "@warren/sync/protocol";
import { Pool } from "undici";
import { WebSocket } from "ws";
import * as Y from "yjs";
import { percentile, ScaleCluster } from "./cluster.ts";

export interface HubFigures {
	/** Of somebody who is signed in, at all instances. */
	readonly requestsPerSecond: number;
	/** Documents that are open meanwhile, each at all instances. */
	readonly rooms: number;
	/** Edits that were on disk, each told to every other reader of its document. */
	readonly editsPerSecond: number;
	readonly deliveriesPerSecond: number;
	/** From an edit to its arrival at a reader, wherever that one is. */
	readonly p99Ms: number;
	/** From kill -9 of an instance until somebody who was there had an edit acknowledged by another. */
	readonly recoveryMs: number | null;
}

const person = { name: "Bench", email: "bench@example.test", password: "correct horse battery" };
const readersPerRoom = 3;

/** A reader of one document; edits are texts that say when they were written. */
class Reader {
	readonly ws: WebSocket;
	readonly ready: Promise<void>;
	readonly #doc = new Y.Doc();
	#heard: () => void = () => {};
	#acknowledged: () => void = () => {};
	#closed: (reason: Error) => void = () => {};

	constructor(port: number, room: string, token: string) {
		const protocols = [ackSubprotocol, "warren.v1", `bearer.${token}`];
		this.ws = new WebSocket(`ws://127.0.0.1:${port}/rooms/${room}/sync`, protocols, { perMessageDeflate: false });
		this.ready = new Promise((resolve, reject) => {
			this.ws.once("error", reject);
			this.ws.once("close", () => reject(new Error("closed")));
			this.ws.once("open", () => this.ws.send(encodeStep1(new Uint8Array([0]))));
			this.ws.on("message", (data: Buffer) => {
				const frame = decodeFrame(new Uint8Array(data));
				if (frame.type === "durable") this.#acknowledged();
				if (frame.type !== "update") return;
				if (frame.answer) resolve();
				else this.#heard();
			});
			this.ws.once("close", () => this.#closed(new Error("closed")));
		});
		this.ready.catch(() => {});
	}

	/** Resolves once the edit is on disk. */
	edit(): Promise<void> {
		const known = Y.encodeStateVector(this.#doc);
		this.#doc.getArray("edits").push([performance.now()]);
		return new Promise((resolve, reject) => {
			this.#acknowledged = resolve;
			this.#closed = reject;
			this.ws.send(encodeUpdate(Y.encodeStateAsUpdate(this.#doc, known)));
		});
	}

	/** Resolves with the next edit of somebody else. */
	heard(): Promise<void> {
		return new Promise((resolve) => {
			this.#heard = resolve;
		});
	}

	close(): void {
		this.ws.removeAllListeners();
		this.ws.on("error", () => {});
		this.ws.terminate();
	}
}

/** Documents with a writer and readers each, spread over all instances; one edit of each is on its way at a time, until it is on disk and everybody has it. */
export async function measureHub(instances: number, rooms: number, forMs: number): Promise<HubFigures> {
	await using cluster = await ScaleCluster.start(instances, ["hub", "--http"], {
		nats: true,
		copied: ["hub.secret", "hub.id"],
	});
	const port = (at: number) => cluster.instances[at % cluster.instances.length]?.port as number;
	const setup = cluster.ready.at(-1)?.["setupUrl"];
	const signed = await fetch(`http://127.0.0.1:${port(0)}/auth/signup`, {
		method: "POST",
		headers: { "content-type": "application/json", "x-warren-setup": String(setup).split("#setup=")[1] ?? "" },
		body: JSON.stringify(person),
	});
	if (!signed.ok) throw new Error(await signed.text());
	const { token } = (await signed.json()) as { token: string };
	const requestsPerSecond = await measureRequests(
		cluster.instances.map((each) => each.port),
		token,
		forMs,
	);
	const readers: Reader[] = [];
	try {
		const latencies: number[] = [];
		let edits = 0;
		let deliveries = 0;
		const until = { at: Number.POSITIVE_INFINITY };
		const documents = [];
		for (let room = 0; room < rooms; room++) {
			const all = Array.from(
				{ length: readersPerRoom },
				(_, at) => new Reader(port(room + at), `bench-${room}`, token),
			);
			readers.push(...all);
			await Promise.all(all.map((each) => each.ready));
			documents.push(all);
		}
		const run = async ([writer, ...others]: readonly Reader[]) => {
			while (performance.now() < until.at) {
				const writtenAt = performance.now();
				const arrivals = others.map((other) =>
					other.heard().then(() => {
						deliveries += 1;
						latencies.push(performance.now() - writtenAt);
					}),
				);
				await Promise.all([writer?.edit(), ...arrivals]);
				edits += 1;
			}
		};
		until.at = performance.now() + forMs;
		await Promise.all(documents.map(run));
		let recoveryMs: number | null = null;
		if (instances > 1) {
			await cluster.instances[0]?.process.kill("SIGKILL");
			const startedAt = performance.now();
			for (let at = 1; ; at++) {
				const again = new Reader(port(at % instances === 0 ? 1 : at), "bench-0", token);
				readers.push(again);
				const done = await again.ready
					.then(() => again.edit())
					.then(
						() => true,
						() => false,
					);
				if (done) break;
			}
			recoveryMs = performance.now() - startedAt;
		}
		return {
			requestsPerSecond,
			rooms,
			editsPerSecond: (edits / forMs) * 1000,
			deliveriesPerSecond: (deliveries / forMs) * 1000,
			p99Ms: percentile(latencies, 0.99),
			recoveryMs,
		};
	} finally {
		for (const reader of readers) reader.close();
	}
}

const concurrency = 48;

/** `GET /me`: a session is looked up, and nothing else. */
async function measureRequests(ports: readonly number[], token: string, forMs: number): Promise<number> {
	const pools = ports.map((port) => new Pool(`http://127.0.0.1:${port}`, { connections: concurrency }));
	const headers = { authorization: `Bearer ${token}` };
	let answered = 0;
	try {
		const until = performance.now() + forMs;
		await Promise.all(
			Array.from({ length: concurrency }, async (_each, worker) => {
				const pool = pools[worker % pools.length] as Pool;
				while (performance.now() < until) {
					const answer = await pool.request({ path: "/me", method: "GET", headers });
					await answer.body.dump();
					if (answer.statusCode !== 200) throw new Error(`GET /me was answered ${answer.statusCode}`);
					answered += 1;
				}
			}),
		);
		return (answered / forMs) * 1000;
	} finally {
		for (const pool of pools) await pool.destroy();
	}
}
