// node bench/overlay/run.ts [--smoke] [--rounds N] [--seconds N]: throughput, small packets, ping, memory and processor
// time of Warren's data planes beside wireguard-go and boringtun, alternating, in two network namespaces. As root; needs
// iperf3 and wg. WIREGUARD_GO and BORINGTUN may name the peers' programs. --smoke: Warren's planes alone, one short round.
import { execFileSync } from "node:child_process";
import { once } from "node:events";
import { cpus } from "node:os";
import type { Readable } from "node:stream";
import { parseArgs } from "node:util";
import { takeBenchLock } from "../bench-lock.ts";
import { median, percentile } from "../terminal/statistics.ts";
import { obstacle, runIn, startIn, stop, TwoHosts } from "./hosts.ts";
import { find, memoryMiB, processorSeconds, type Tunnel, userspace, type Way, warren } from "./tunnels.ts";

const { values } = parseArgs({
	options: { smoke: { type: "boolean", default: false }, rounds: { type: "string" }, seconds: { type: "string" } },
});
const { smoke } = values;
const rounds = Number(values.rounds ?? (smoke ? 1 : 5));
const seconds = Number(values.seconds ?? (smoke ? 1 : 6));
const pings = smoke ? 50 : 400;

interface Results {
	/** Gb/s: one stream over v4 and v6, four over v4. */
	readonly one: number[];
	readonly oneV6: number[];
	readonly four: number[];
	/** Datagrams of 64 bytes received a second. */
	readonly small: number[];
	readonly pingMs: number[];
	readonly idleMiB: number[];
	readonly loadedMiB: number[];
	/** Of both ends together, a gigabyte carried. */
	readonly secondsPerGb: number[];
}

interface IperfSum {
	readonly bits_per_second: number;
	readonly bytes: number;
	readonly seconds: number;
	/** UDP's alone. */
	readonly packets: number;
	readonly lost_packets: number;
}

interface IperfEnd {
	readonly sum_received?: IperfSum;
	readonly sum?: IperfSum;
}

/** A server that is not listening yet, or still ends its last client, says so in the answer alone: asked again then. */
const iperfTries = 20;

async function iperf(hosts: TwoHosts, to: string, ...args: readonly string[]): Promise<IperfEnd> {
	let failure = "";
	for (let tries = 0; tries < iperfTries; tries += 1) {
		const server = startIn(hosts.b, ["iperf3", "-s", "-1", "-B", to, "--forceflush"], { pipe: true });
		try {
			await Promise.race([once(server.stdout as Readable, "data"), once(server, "exit")]);
			const json = runIn(hosts.a, (seconds + 15) * 1000, "iperf3", "-c", to, "-J", "-t", String(seconds), ...args);
			const { end, error } = JSON.parse(json) as { end: IperfEnd; error?: string };
			if (error === undefined && (end.sum ?? end.sum_received) !== undefined) return end;
			failure = error ?? json;
		} catch (failed) {
			failure = String((failed as { stdout?: unknown }).stdout ?? failed);
		} finally {
			await stop(server);
		}
	}
	throw new Error(`iperf3 gave no result in ${iperfTries} tries: ${failure}`);
}

async function measure(hosts: TwoHosts, tunnel: Tunnel, into: Results): Promise<void> {
	runIn(hosts.a, 20_000, "ping", "-q", "-c", "3", "-i", "0.2", "10.9.0.2");
	into.idleMiB.push(memoryMiB(tunnel));
	const before = processorSeconds(tunnel);
	const one = (await iperf(hosts, "10.9.0.2")).sum_received;
	const used = processorSeconds(tunnel) - before;
	if (one === undefined) throw new Error("iperf3 reported no TCP result");
	into.one.push(one.bits_per_second / 1e9);
	into.secondsPerGb.push(used / (one.bytes / 1e9));
	into.oneV6.push(((await iperf(hosts, "fd09::2")).sum_received?.bits_per_second ?? 0) / 1e9);
	into.four.push(((await iperf(hosts, "10.9.0.2", "-P", "4")).sum_received?.bits_per_second ?? 0) / 1e9);
	into.loadedMiB.push(memoryMiB(tunnel));
	const datagrams = await iperf(hosts, "10.9.0.2", "-u", "-l", "64", "-b", smoke ? "5M" : "0");
	const small = datagrams.sum ?? datagrams.sum_received;
	if (small === undefined) throw new Error(`iperf3 reported no UDP result: ${JSON.stringify(datagrams)}`);
	into.small.push((small.packets - small.lost_packets) / small.seconds);
	const answers = runIn(hosts.a, 60_000, "ping", "-i", "0.01", "-c", String(pings), "10.9.0.2");
	for (const [, ms] of answers.matchAll(/time=([\d.]+)/g)) into.pingMs.push(Number(ms));
}

function report(name: string, results: Results): void {
	const gb = (samples: readonly number[]) => `${median(samples).toFixed(2)} Gb/s`;
	console.log(
		`${name.padEnd(16)} TCP ×1 ${gb(results.one)}, v6 ${gb(results.oneV6)}, ×4 ${gb(results.four)} · ` +
			`64-byte UDP ${(median(results.small) / 1000).toFixed(1)} k/s · ` +
			`ping p50 ${percentile(results.pingMs, 0.5).toFixed(3)} ms, p99 ${percentile(results.pingMs, 0.99).toFixed(3)} ms · ` +
			`memory ${median(results.idleMiB).toFixed(0)} idle, ${median(results.loadedMiB).toFixed(0)} MiB loaded · ` +
			`${median(results.secondsPerGb).toFixed(2)} processor s/GB`,
	);
}

/** Ratios of each round, then their median: a machine that slows down slows both. */
function ratio(a: readonly number[], b: readonly number[]): number {
	return median(a.map((each, at) => each / (b[at] as number)));
}

function verdicts(ways: ReadonlyMap<string, Results>): void {
	const say = (holds: boolean, text: string) => console.log(`${holds ? "met    " : "MISSED "} ${text}`);
	const offload = ways.get("warren offload") as Results;
	const portable = ways.get("warren portable") as Results;
	const go = ways.get("wireguard-go");
	const boringtun = ways.get("boringtun");
	if (go !== undefined) {
		const one = ratio(offload.one, go.one);
		say(one >= 1.25, `one stream ${one.toFixed(2)} × wireguard-go's, aim ≥ 1.25`);
		console.log(
			`        one stream over v6 ${ratio(offload.oneV6, go.oneV6).toFixed(2)} ×, four ${ratio(offload.four, go.four).toFixed(2)} ×`,
		);
		console.log(`        processor a gigabyte ${ratio(offload.secondsPerGb, go.secondsPerGb).toFixed(2)} ×`);
		const memory = median(offload.loadedMiB) / median(go.loadedMiB);
		say(memory <= 0.5, `memory under load ${memory.toFixed(2)} × wireguard-go's, aim ≤ 0.5`);
		const later = percentile(offload.pingMs, 0.5) - percentile(go.pingMs, 0.5);
		say(later <= 0.05, `ping p50 ${(later * 1000).toFixed(0)} µs after wireguard-go's, aim ≤ 50`);
		const tail = percentile(offload.pingMs, 0.99) / percentile(go.pingMs, 0.99);
		say(tail <= 2, `ping p99 ${tail.toFixed(2)} × wireguard-go's, aim ≤ 2`);
		const slow = ratio(portable.one, go.one);
		say(slow >= 0.12, `portable, one stream ${slow.toFixed(2)} × wireguard-go's, aim ≥ 0.12`);
	}
	if (boringtun !== undefined) {
		const one = ratio(offload.one, boringtun.one);
		say(one >= 2, `one stream ${one.toFixed(2)} × boringtun's, aim ≥ 2`);
	}
}

const reason = obstacle();
if (reason !== null) {
	console.error(`The overlay bench cannot run here: ${reason}.`);
	process.exit(1);
}

using _lock = takeBenchLock(smoke);

const hosts = new TwoHosts();
try {
	const candidates: Way[] = [warren("offload"), warren("portable")];
	if (!smoke) {
		const go = find("wireguard-go", "WIREGUARD_GO");
		const boringtun = find("boringtun-cli", "BORINGTUN");
		if (go === null) console.log("without wireguard-go: it is not installed");
		else candidates.push(userspace("wireguard-go", go));
		if (boringtun === null) console.log("without boringtun: boringtun-cli is not installed");
		else candidates.push(userspace("boringtun", boringtun));
	}
	const kernel = execFileSync("uname", ["-r"], { encoding: "utf8" }).trim();
	console.log(
		`${cpus().length} × ${cpus()[0]?.model}, Linux ${kernel}, Node ${process.version}, ${rounds} rounds of ${seconds} s a figure`,
	);
	const ways = new Map<string, Results>();
	for (const { name } of candidates)
		ways.set(name, {
			one: [],
			oneV6: [],
			four: [],
			small: [],
			pingMs: [],
			idleMiB: [],
			loadedMiB: [],
			secondsPerGb: [],
		});
	for (let round = 0; round < rounds; round += 1)
		for (const way of candidates) {
			const tunnel = await way.open(hosts);
			try {
				await measure(hosts, tunnel, ways.get(way.name) as Results);
			} finally {
				await tunnel.close();
			}
		}
	for (const [name, results] of ways) report(name, results);
	if (!smoke) verdicts(ways);
} finally {
	hosts.close();
}
