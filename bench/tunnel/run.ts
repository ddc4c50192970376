// node bench/tunnel/run.ts [--smoke] [--rounds N] [--seconds N] [--rtts 0,20,50,100] [--transports shared,…] [--peers rathole,…] [--only requests,bodies,stalled,knee,parked]: requests/s, p50/p99 and CPU a thousand requests at 64 bytes
// and 100 MB, with identity checked on every request; a stalled reader beside 50 streams; the knee of a rising rate and p99
// at 70 % of the slower one's; memory a parked connection; with round trips of 0, 20, 50 and 100 ms between agent and
// server. Beside nginx→nginx, frp, chisel, rathole and ssh -R (SSHD names its server) where they are installed or can be
// built, in alternating rounds. Medians. --smoke: one short round without peers or verdicts.
import { type ChildProcess, spawnSync } from "node:child_process";
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { takeBenchLock } from "../bench-lock.ts";
import { median } from "../terminal/statistics.ts";
import { atEase, type KneeOptions, kneeOf } from "./knee.ts";
import { type Load, measure, memoryKiB, type Result } from "./measure.ts";
import { nginx, openPeer, openWarren, type Path } from "./paths.ts";
import { obstacle, type Peer, peers, versionOf } from "./peers.ts";

const { values } = parseArgs({
	options: {
		smoke: { type: "boolean", default: false },
		rounds: { type: "string" },
		seconds: { type: "string" },
		rtts: { type: "string" },
		/** Ours, with commas. */
		transports: { type: "string" },
		/** Others; all of them unless told. */
		peers: { type: "string" },
		only: { type: "string" },
	},
});
const { smoke } = values;
const rounds = Number(values.rounds ?? (smoke ? 1 : 5));
const seconds = Number(values.seconds ?? (smoke ? 0.3 : 5));
const concurrencies = smoke ? [8] : [1, 48, 256];
const rtts = values.rtts?.split(",").map(Number) ?? (smoke ? [0, 2] : [0, 20, 50, 100]);
const largeBytes = smoke ? 2_000_000 : 100_000_000;
const transports =
	values.transports?.split(",") ?? (smoke ? ["shared", "parked"] : ["shared", "parked", "websocket", "http2"]);
const parts = values.only?.split(",") ?? ["requests", "bodies", "stalled", "knee", "parked"];
const streamsBesideStalled = 50;
/** As many that what a collection leaves behind, some megabytes, is little beside them. */
const parked = smoke ? 64 : 4000;
/** Until what is under way when a client leaves has gone. */
const betweenMs = smoke ? 0 : 500;
/** What a parked connection may still be doing when it is counted. */
const settleMs = smoke ? 200 : 3000;
/** Until a reader that stopped has filled what it fills. */
const stalledSettleMs = smoke ? 100 : 2000;

async function compare(
	paths: readonly Path[],
	load: Load,
	title: string,
	show: (result: Result) => string,
): Promise<Map<string, Result>> {
	const results = new Map<string, Result[]>(paths.map(({ name }) => [name, []]));
	// The first round of each counts for nothing: it is its compiler's, its caches' and its buffers'.
	for (let round = smoke ? 0 : -1; round < rounds; round++)
		// There and back: else one always comes after the same other, and pays for what that one leaves under way.
		for (const path of round % 2 === 0 ? paths : paths.toReversed()) {
			const result = await measure(path, load);
			await new Promise((resolve) => setTimeout(resolve, betweenMs));
			if (round >= 0) results.get(path.name)?.push(result);
		}
	const medians = new Map<string, Result>();
	for (const [name, each] of results) {
		const of = (field: keyof Result) => median(each.map((result) => result[field]));
		medians.set(name, {
			...{ perSecond: of("perSecond"), bytesPerSecond: of("bytesPerSecond"), p50: of("p50"), p99: of("p99") },
			...{ errors: 0, cpuPerThousand: of("cpuPerThousand"), housekeepingMs: of("housekeepingMs") },
		});
	}
	const base = medians.get("nginx → nginx");
	for (const [name, result] of medians) {
		const ratio =
			base === undefined || base === result ? "" : `  ${(result.perSecond / base.perSecond).toFixed(2)} × nginx`;
		console.log(`${title}  ${name.padEnd(18)} ${show(result)}${ratio}`);
	}
	return medians;
}

const showRequests = (result: Result) =>
	`${result.perSecond.toFixed(0)} requests/s  p50 ${result.p50.toFixed(2)} ms  p99 ${result.p99.toFixed(2)} ms  CPU ${result.cpuPerThousand.toFixed(3)} s a thousand`;
const showBytes = (result: Result) =>
	`${(result.bytesPerSecond / 1e6).toFixed(0)} MB/s  CPU ${result.cpuPerThousand.toFixed(0)} ms a body`;

/** What each of `parked` idle connections costs, against an agent that keeps few. */
async function parkedMemory(name: string, open: (links: number) => Promise<Path>): Promise<void> {
	const settled = async (path: Path) => {
		await new Promise((resolve) => setTimeout(resolve, settleMs));
		return memoryKiB(path);
	};
	const few = await settled(await open(1));
	const many = await settled(await open(parked));
	const each = many.map((kib, index) => Math.max(0, kib - (few[index] ?? 0)) / parked);
	console.log(
		`parked ×${parked}  ${name.padEnd(18)} server ${each[0]?.toFixed(1)} KiB  agent ${each[1]?.toFixed(1)} KiB a connection`,
	);
}

/** Each path's knee, and how ours and each other's p99 compare where the slower of both is at ease. */
async function knees(
	paths: readonly Path[],
	tops: ReadonlyMap<string, number>,
	options: KneeOptions,
	at: string,
): Promise<void> {
	const found = new Map<Path, number>();
	for (const path of paths) {
		const knee = await kneeOf(path, tops.get(path.name) ?? 0, options);
		found.set(path, knee);
		console.log(`${at}  ${path.name.padEnd(18)} knee at ${knee} requests/s`);
	}
	const ours = paths.filter(({ name }) => name.startsWith("warren"));
	for (const own of ours)
		for (const other of paths.filter((path) => !ours.includes(path))) {
			const knees = [found.get(own) ?? 0, found.get(other) ?? 0] as const;
			if (Math.min(...knees) === 0) continue;
			const { rate, p99, windows, anew } = await atEase([own, other], knees, options);
			console.log(
				`${at}  at ${rate} requests/s  ${own.name} p99 ${p99[0].toFixed(2)} ms, ${other.name} ${p99[1].toFixed(2)} ms: ${(p99[0] / p99[1]).toFixed(2)} × (of ${windows} windows each; ${anew} measured anew)`,
			);
		}
}

/** How far a reader that stops moves the others' p99. */
async function stalledReaders(paths: readonly Path[], at: string): Promise<void> {
	const load = { concurrency: streamsBesideStalled, seconds, target: "/" };
	const alone = await compare(paths, load, `${at}  ${streamsBesideStalled} streams`, showRequests);
	// Until it stands it is a download at full speed into the buffers of kernels and relay, on the same cores.
	for (const [settle, what] of [
		[stalledSettleMs, "a stalled reader"],
		[0, "a reader that comes to a stand"],
	] as const) {
		const beside = { ...load, stalled: "/large", settleMs: settle };
		for (const [name, { p99 }] of await compare(paths, beside, `${at}  and ${what}`, showRequests))
			console.log(
				`${at}  ${name.padEnd(18)} ${what} moves p99 by ${(p99 / (alone.get(name)?.p99 ?? p99)).toFixed(2)} ×`,
			);
	}
}

using _lock = takeBenchLock(smoke);
const folder = mkdtempSync(join(tmpdir(), "warren-bench-tunnel-"));
const children: ChildProcess[] = [];
const origin = createServer((request, response) => {
	response.end(request.url === "/large" ? Buffer.alloc(largeBytes) : Buffer.alloc(64, "x"));
});
try {
	const hasNginx = !smoke && spawnSync("nginx", ["-v"]).error === undefined;
	const beside: Peer[] = [];
	const wanted: readonly string[] = values.peers?.split(",") ?? peers;
	const unknown = wanted.find((each) => !peers.some((peer) => peer === each));
	if (unknown !== undefined) throw new Error(`"${unknown}" is no peer; there are ${peers.join(", ")}`);
	for (const peer of smoke ? [] : peers.filter((each) => wanted.includes(each))) {
		const reason = await obstacle(peer);
		if (reason === null) beside.push(peer);
		else console.log(`left out: ${reason}`);
	}
	let originPort: number;
	let proxied: Path | null = null;
	if (hasNginx) {
		const www = join(folder, "www");
		mkdirSync(www);
		writeFileSync(join(www, "index.html"), "x".repeat(64));
		writeFileSync(join(www, "large"), Buffer.alloc(largeBytes));
		originPort = (await nginx({ folder, children }, "origin", `root ${www};`, "")).port;
		const upstream = `upstream origin { server 127.0.0.1:${originPort}; keepalive 512; keepalive_requests 1000000000; }`;
		const location = 'location / { proxy_pass http://origin; proxy_http_version 1.1; proxy_set_header Connection ""; }';
		const { port, pid } = await nginx({ folder, children }, "proxy", location, upstream);
		proxied = { name: "nginx → nginx", port, host: "localhost", credential: null, pids: [pid] };
	} else {
		await new Promise<void>((resolve) => origin.listen(0, "127.0.0.1", resolve));
		originPort = (origin.address() as AddressInfo).port;
		if (!smoke) console.log("left out: nginx is not installed (Debian's package: nginx-light)");
	}
	const commit = spawnSync("git", ["rev-parse", "--short", "HEAD"], { encoding: "utf8" }).stdout.trim();
	const nginxVersion = hasNginx
		? [spawnSync("nginx", ["-v"], { encoding: "utf8" }).stderr.replace(/.*: |\s/g, "")]
		: [];
	console.log(
		[
			`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, commit ${commit}`,
			...[...nginxVersion, ...beside.map(versionOf)],
			`${rounds} rounds of ${seconds} s`,
		].join(", "),
	);
	for (const rttMs of rtts) {
		const site = { folder, originPort, rttMs, children };
		const warren = await openWarren(site);
		// nginx reaches its origin without a tunnel, and so without the round trip.
		const paths: Path[] = rttMs === 0 && proxied !== null ? [proxied] : [];
		for (const peer of beside) paths.push(await openPeer(site, peer));
		for (const transport of transports) paths.push(await warren(transport));
		const at = `RTT ${rttMs} ms`;
		const tops = new Map<string, number>();
		if (parts.includes("requests") || parts.includes("knee"))
			for (const concurrency of concurrencies) {
				const load = { concurrency, seconds, target: "/" };
				for (const [name, { perSecond }] of await compare(paths, load, `${at}  64 B c=${concurrency}`, showRequests))
					tops.set(name, Math.max(perSecond, tops.get(name) ?? 0));
			}
		if (parts.includes("bodies"))
			await compare(
				paths,
				{ concurrency: 1, seconds, target: "/large" },
				`${at}  ${largeBytes / 1e6} MB c=1`,
				showBytes,
			);
		if (parts.includes("stalled")) await stalledReaders(paths, at);
		if (parts.includes("knee")) await knees(paths, tops, { seconds, rounds, rttMs }, at);
		if (rttMs > 0 || !parts.includes("parked")) continue;
		await parkedMemory("warren, parked", (links) => warren("parked", links));
		if (beside.includes("frp")) await parkedMemory("frp", (pool) => openPeer(site, "frp", pool));
	}
} finally {
	origin.closeAllConnections();
	origin.close();
	for (const child of children.reverse()) child.kill("SIGKILL");
	rmSync(folder, { recursive: true, force: true, maxRetries: 3 });
}
