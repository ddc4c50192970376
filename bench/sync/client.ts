import { WebSocket } from "ws";
import * as Y from "yjs";
import { type Dialect, dialects, encodeUpdate, presence, type ServerName, step1 } from "./dialect.ts";

/** The client process: raw sockets, so that what is measured is the server. One job an IPC message, one answer. */
export type ClientJob =
	| {
			readonly job: "fan-out";
			readonly server: ServerName;
			readonly port: number;
			readonly clients: number;
			readonly perSecond: number;
			readonly seconds: number;
			readonly warmUpSeconds: number;
	  }
	| {
			readonly job: "presence";
			readonly server: ServerName;
			readonly port: number;
			readonly clients: number;
			readonly seconds: number;
	  }
	| {
			readonly job: "open-rooms";
			readonly server: ServerName;
			readonly port: number;
			readonly rooms: number;
			readonly bytes: number;
			readonly restMs: number;
	  }
	| { readonly job: "seed"; readonly server: ServerName; readonly port: number; readonly bytes: number }
	| {
			readonly job: "join";
			readonly server: ServerName;
			readonly port: number;
			readonly clients: number;
			readonly bytes: number;
	  }
	| { readonly job: "write-seen"; readonly server: ServerName; readonly port: number; readonly updates: number }
	| { readonly job: "count"; readonly server: ServerName; readonly port: number };

export interface FanOutResult {
	readonly sent: number;
	readonly delivered: number;
	readonly p50Ms: number;
	readonly p99Ms: number;
}

class Client {
	readonly ws: WebSocket;
	readonly #dialect: Dialect;
	readonly #room: string;
	readonly synced: Promise<void>;
	bytes = 0;
	onData: ((data: Buffer) => void) | undefined;

	constructor(server: ServerName, port: number, room: string) {
		this.#dialect = dialects[server];
		this.#room = room;
		this.ws = new WebSocket(this.#dialect.url(port, room), [...this.#dialect.protocols], {
			perMessageDeflate: false,
			maxPayload: 0,
		});
		this.synced = new Promise((resolve, reject) => {
			this.ws.on("error", reject);
			this.ws.on("open", () => {
				const hello = this.#dialect.hello(room);
				if (hello !== null) this.ws.send(hello);
				this.send(step1());
			});
			this.ws.on("message", (data: Buffer) => {
				this.bytes += data.length;
				const at = this.#dialect.offset(data);
				if (data[at] === 0 && data[at + 1] === 1) resolve();
				// Hocuspocus answers with a reply type of its own.
				if (data[at] === 4 && data[at + 1] === 1) resolve();
				this.onData?.(data);
			});
		});
	}

	send(message: Uint8Array): void {
		this.ws.send(this.#dialect.wrap(this.#room, message));
	}
}

const jobs = {
	async "fan-out"(job: Extract<ClientJob, { job: "fan-out" }>): Promise<FanOutResult> {
		const clients = await connect(job, job.clients, "fan-out");
		const writers = clients.slice(0, Math.min(20, clients.length)).map(writer);
		const sentAt: number[] = [];
		const sender: number[] = [];
		let delivered = 0;
		const latencies: number[] = [];
		let measuring = false;
		clients.forEach((client, index) => {
			// Every client's deliveries count; the latency of some is enough.
			const sampled = index % Math.ceil(clients.length / 20) === 0;
			client.onData = (data) => {
				for (const id of marksIn(data)) {
					if (sender[id] === index || sentAt[id] === undefined) continue;
					if (!measuring) continue;
					delivered += 1;
					if (sampled) latencies.push(performance.now() - (sentAt[id] as number));
				}
			};
		});
		const write = async (ms: number) => {
			const startedAt = performance.now();
			const before = sentAt.length;
			for (let elapsed = 0; elapsed < ms; elapsed = performance.now() - startedAt) {
				for (const due = before + Math.floor((elapsed / 1000) * job.perSecond); sentAt.length < due; ) {
					const id = sentAt.length;
					sender.push(id % writers.length);
					sentAt.push(performance.now());
					writers[id % writers.length]?.(id);
				}
				await pause(5);
			}
		};
		// Compilers and caches of every server get the same time to warm up.
		await write(job.warmUpSeconds * 1000);
		await pause(200);
		const warmedUp = sentAt.length;
		measuring = true;
		process.send?.({ answer: "started" });
		await write(job.seconds * 1000);
		// What is still on its way arrives, or the server is hopelessly behind: both are results.
		const sent = sentAt.length - warmedUp;
		const expected = sent * (clients.length - 1);
		for (let waited = 0; delivered < expected && waited < 5_000; waited += 50) await pause(50);
		latencies.sort((a, b) => a - b);
		const at = (share: number) =>
			latencies[Math.min(latencies.length - 1, Math.floor(latencies.length * share))] ?? Number.NaN;
		return { sent, delivered, p50Ms: at(0.5), p99Ms: at(0.99) };
	},

	/** Everybody says once a second that they are here. @returns clients that everybody was told of in the last second. */
	async presence(job: Extract<ClientJob, { job: "presence" }>): Promise<number> {
		const clients = await connect(job, job.clients, "presence");
		let said = 0;
		const say = async (ms: number) => {
			const startedAt = performance.now();
			const before = said;
			for (let elapsed = 0; elapsed < ms; elapsed = performance.now() - startedAt) {
				for (const due = before + Math.floor((elapsed / 1000) * job.clients); said < due; said++)
					clients[said % clients.length]?.send(
						presence(1 + (said % clients.length), 1 + Math.floor(said / clients.length)),
					);
				await pause(5);
			}
		};
		await say(2_000);
		process.send?.({ answer: "started" });
		const heard = new Set<number>();
		const last = clients.at(-1) as Client;
		await say((job.seconds - 1) * 1000);
		last.onData = (data) => {
			for (const [, name] of data.toString("latin1").matchAll(/"Client (\d+)"/g)) heard.add(Number(name));
		};
		await say(1_000);
		await pause(200);
		return heard.size;
	},

	async "open-rooms"(job: Extract<ClientJob, { job: "open-rooms" }>): Promise<null> {
		const update = documentOf(job.bytes);
		for (let room = 0; room < job.rooms; room += 50) {
			const batch = Array.from(
				{ length: Math.min(50, job.rooms - room) },
				(_, index) => new Client(job.server, job.port, `room-${room + index}`),
			);
			await Promise.all(batch.map((client) => client.synced));
			for (const client of batch) client.send(encodeUpdate(update));
		}
		// A rest, in which each gives back what it does not need: V8 keeps freed pages for 8 s, the C library until somebody asks.
		await pause(job.restMs);
		return null;
	},

	async seed(job: Extract<ClientJob, { job: "seed" }>): Promise<null> {
		const [client] = await connect(job, 1, "join");
		const doc = new Y.Doc();
		doc.on("update", (update: Uint8Array) => client?.send(encodeUpdate(update)));
		for (let bytes = 0; bytes < job.bytes; bytes += 100_000) {
			doc.getArray("l").push(Array.from({ length: 100 }, () => "x".repeat(1_000)));
			await pause(2);
		}
		await pause(6_000);
		client?.ws.terminate();
		return null;
	},

	async join(job: Extract<ClientJob, { job: "join" }>): Promise<number> {
		const startedAt = performance.now();
		const clients = await connect(job, job.clients, "join");
		const tookMs = performance.now() - startedAt;
		for (const client of clients)
			if (client.bytes < job.bytes) throw new Error(`a joiner got only ${client.bytes} bytes`);
		return tookMs;
	},

	async "write-seen"(job: Extract<ClientJob, { job: "write-seen" }>): Promise<null> {
		const [first, second] = await connect(job, 2, "crash");
		const write = writer(first as Client);
		const seen = new Set<number>();
		const all = new Promise<void>((resolve) => {
			(second as Client).onData = (data) => {
				for (const id of marksIn(data)) seen.add(id);
				if (seen.size === job.updates) resolve();
			};
		});
		for (let id = 0; id < job.updates; id++) {
			write(id);
			await pause(2);
		}
		await all;
		return null;
	},

	async count(job: Extract<ClientJob, { job: "count" }>): Promise<number> {
		const client = new Client(job.server, job.port, "crash");
		const seen = new Set<number>();
		client.onData = (data) => {
			for (const id of marksIn(data)) seen.add(id);
		};
		await client.synced;
		await pause(200);
		return seen.size;
	},
};

async function connect(job: { server: ServerName; port: number }, count: number, room: string): Promise<Client[]> {
	const clients = Array.from({ length: count }, () => new Client(job.server, job.port, room));
	await Promise.all(clients.map((client) => client.synced));
	return clients;
}

/** Appends a mark to a document of its own: an update as a real client sends it. */
function writer(client: Client): (id: number) => void {
	const doc = new Y.Doc();
	doc.on("update", (update: Uint8Array) => client.send(encodeUpdate(update)));
	return (id) => doc.getArray("marks").push([`@@${id}@@ thirty bytes of something else`]);
}

function marksIn(data: Buffer): number[] {
	const ids: number[] = [];
	for (let at = data.indexOf("@@"); at !== -1; at = data.indexOf("@@", at)) {
		const end = data.indexOf("@@", at + 2);
		if (end === -1) break;
		ids.push(Number(data.toString("latin1", at + 2, end)));
		at = end + 2;
	}
	return ids;
}

/** A document of that size, written in many small edits. */
function documentOf(bytes: number): Uint8Array {
	const doc = new Y.Doc();
	const text = doc.getText("t");
	for (let length = 0; length < bytes; length += 100) text.insert(Math.floor(length / 2), "x".repeat(90));
	return Y.encodeStateAsUpdate(doc);
}

function pause(ms: number): Promise<void> {
	return new Promise((resolve) => setTimeout(resolve, ms));
}

process.on("message", (job: ClientJob) => {
	const run = jobs[job.job] as (job: ClientJob) => Promise<unknown>;
	void run(job).then((value) => process.send?.({ answer: "done", value }));
});
process.on("disconnect", () => process.exit(0));
