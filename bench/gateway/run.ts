// node bench/gateway/run.ts [--smoke] [--rounds N] [--seconds N] [--only NAME] [--ways A,B]: memory of idle meshes, relay
// and broadcast; beside the relay of the original's page, socket.io and NATS, in alternating runs.
import { readFileSync } from "node:fs";
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { takeBenchLock } from "../bench-lock.ts";
import { median, percentile } from "../terminal/statistics.ts";
import { type PeerSocket, tally } from "./peer-socket.ts";
import { ways as allWays, BenchServer, type Way } from "./servers.ts";

const { values: options } = parseArgs({
	options: {
		smoke: { type: "boolean", default: false },
		rounds: { type: "string" },
		seconds: { type: "string" },
		only: { type: "string", default: "" },
		ways: { type: "string" },
	},
});
const smoke = options.smoke;
const rounds = Number(options.rounds ?? (smoke ? 1 : 5));
const seconds = Number(options.seconds ?? (smoke ? 0.5 : 5));
const wanted = (options.ways ?? (smoke ? "warren,warren+receipts,warren+queue,plain" : allWays.join(","))).split(",");
const size = smoke
	? { idle: 200, most: 200, few: 4, many: 20, senders: 4 }
	: { idle: 10_000, most: 20_000, few: 10, many: 1_000, senders: 4 };

/** Each message carries when it was sent, and as much as a room's message does. */
const filler = "x".repeat(160);
const payloadAt = () => `{"type":"new_message","t":${performance.now().toFixed(3)},"text":"${filler}"}`;
const sentAt = /"t":([\d.]+)/;

interface Flow {
	readonly perSecond: number;
	readonly p99Ms: number;
	/** Processor time of the server for each message that arrived, µs. */
	readonly processorUs: number;
}

/** @param first the number of the first. */
async function connectAll(server: BenchServer, count: number, first = 0): Promise<PeerSocket[]> {
	const peers: PeerSocket[] = [];
	for (let from = 0; from < count; from += 100) {
		const some = Array.from({ length: Math.min(100, count - from) }, (_, index) =>
			server.peer(`m${first + from + index}`),
		);
		await Promise.all(some.map((peer) => peer.ready()));
		peers.push(...some);
	}
	return peers;
}

/** Sends as fast as it arrives: so many are under way at a time. */
async function flow(
	server: BenchServer,
	peers: readonly PeerSocket[],
	window: number,
	send: (turn: number) => void,
	perMessage: number,
): Promise<Flow> {
	const latencies: number[] = [];
	let arrived = 0;
	for (const peer of peers.slice(0, Math.max(1, Math.ceil(peers.length / 50)))) {
		peer.onMessage = (text) => {
			const at = Number(sentAt.exec(text)?.[1]);
			if (latencies.length < 500_000) latencies.push(performance.now() - at);
		};
	}
	const startedAt = performance.now();
	const processorBefore = server.processorSeconds;
	const before = tally.received;
	let sent = 0;
	for (let now = startedAt; now - startedAt < seconds * 1000; now = performance.now()) {
		arrived = (tally.received - before) / perMessage;
		while (sent - arrived < window) send(sent++);
		await new Promise((resolve) => setImmediate(resolve));
	}
	const tookMs = performance.now() - startedAt;
	const done = tally.received - before;
	for (const peer of peers) peer.onMessage = null;
	return {
		perSecond: done / (tookMs / 1000),
		processorUs: ((server.processorSeconds - processorBefore) * 1e6) / done,
		p99Ms: latencies.length === 0 ? Number.NaN : percentile(latencies, 0.99),
	};
}

async function within<T>(way: Way, meshes: number, work: (server: BenchServer) => Promise<T>): Promise<T> {
	const server = await BenchServer.open(way, meshes);
	try {
		return await work(server);
	} finally {
		await server.close();
	}
}

/** @returns bytes of memory for each connected, idle mesh. */
function idle(way: Way, count: number): Promise<number> {
	return within(way, count, async (server) => {
		// What a server makes once, it makes for the first ones.
		const first = await connectAll(server, Math.min(50, count));
		const before = server.memoryBytes;
		const peers = await connectAll(server, count - first.length, first.length);
		await new Promise((resolve) => setTimeout(resolve, smoke ? 200 : 3000));
		const each = (server.memoryBytes - before) / peers.length;
		for (const peer of [...first, ...peers]) peer.close();
		return each;
	});
}

function relay(way: Way, meshes: number): Promise<Flow> {
	return within(way, meshes, async (server) => {
		const peers = await connectAll(server, meshes);
		const send = (turn: number) => {
			const from = turn % meshes;
			(peers[from] as PeerSocket).relay(`m${(from + 1) % meshes}`, payloadAt());
		};
		const result = await flow(server, peers, 256, send, 1);
		for (const peer of peers) peer.close();
		return result;
	});
}

function broadcast(way: Way, meshes: number): Promise<Flow> {
	return within(way, meshes, async (server) => {
		const peers = await connectAll(server, meshes);
		const send = (turn: number) => (peers[turn % size.senders] as PeerSocket).broadcast(payloadAt());
		const result = await flow(server, peers, 64, send, meshes - 1);
		for (const peer of peers) peer.close();
		return result;
	});
}

using _lock = takeBenchLock(smoke);
await main();

async function main(): Promise<void> {
	const files = Number(/Max open files\s+(\d+)/.exec(readFileSync("/proc/self/limits", "utf8"))?.[1]);
	console.log(
		`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${files} open files a process, ${rounds} rounds of ${seconds} s`,
	);
	const measured = allWays.filter((way) => {
		if (!wanted.includes(way)) return false;
		const obstacle = BenchServer.obstacle(way);
		if (obstacle !== null) console.log(`without ${way}: ${obstacle}`);
		return obstacle === null;
	});
	const results = new Map<string, number[]>();
	const note = (name: string, way: Way, value: number) =>
		results.set(`${name}\n${way}`, [...(results.get(`${name}\n${way}`) ?? []), value]);
	const scenarios: Record<string, (way: Way) => Promise<void>> = {
		[`broadcast to ${size.many}`]: async (way) => {
			const { perSecond, p99Ms } = await broadcast(way, size.many);
			note("broadcast/s", way, perSecond);
			note("broadcast p99 ms", way, p99Ms);
		},
		[`relay among ${size.few}`]: async (way) => {
			const { perSecond, p99Ms, processorUs } = await relay(way, size.few);
			note(`relay/s among ${size.few}`, way, perSecond);
			note(`relay p99 ms among ${size.few}`, way, p99Ms);
			note(`server's µs a relay, ${size.few}`, way, processorUs);
		},
		[`relay among ${size.many}`]: async (way) => {
			const { perSecond, p99Ms, processorUs } = await relay(way, size.many);
			note(`relay/s among ${size.many}`, way, perSecond);
			note(`relay p99 ms among ${size.many}`, way, p99Ms);
			note(`server's µs a relay, ${size.many}`, way, processorUs);
		},
		idle: async (way) => {
			note("bytes of memory an idle mesh", way, await idle(way, size.idle));
		},
	};
	for (const [name, run] of Object.entries(scenarios)) {
		if (!name.startsWith(options.only)) continue;
		for (let round = 0; round < rounds; round += 1)
			for (let turn = 0; turn < measured.length; turn += 1)
				await run(measured[(turn + round) % measured.length] as Way);
	}
	const names = [...new Set([...results.keys()].map((key) => key.split("\n")[0] as string))];
	for (const name of names) {
		const ours = median(results.get(`${name}\nwarren`) ?? [Number.NaN]);
		for (const way of measured) {
			const value = median(results.get(`${name}\n${way}`) ?? [Number.NaN]);
			console.log(
				`${name.padEnd(32)} ${way.padEnd(16)} ${value.toFixed(value < 100 ? 2 : 0).padStart(12)}   warren is ${(ours / value).toFixed(2)} ×`,
			);
		}
	}
	if (!smoke && "most".startsWith(options.only)) await most(files);
}

/** As many as the aim names, or as the machine allows. */
async function most(files: number): Promise<void> {
	// Both ends of every connection, each in its own process.
	const count = Math.min(size.most, files - 300);
	if (count < size.most)
		console.log(
			`only ${count} meshes at once: ${files} open files a process is this machine's limit (ulimit -Hn; Node has raised its own to that, and only the system's administrator raises it further)`,
		);
	const each = await idle("warren", count);
	console.log(`${count} meshes connected to one process, ${(each / 1024).toFixed(1)} KB each`);
}
