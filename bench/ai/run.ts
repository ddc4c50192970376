// node bench/ai/run.ts [--smoke [--peers]] [--rounds N]: whole answers and paced streams through the proxy, beside asking the
// provider directly and beside other gateways, in alternating runs. --smoke: one short round of our own; with --peers, of
// the others too.
import { mkdirSync, mkdtempSync, rmSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { takeBenchLock } from "../bench-lock.ts";
import { median, percentile } from "../terminal/statistics.ts";
import { bifrost, direct, type Gateway, litellm, openChild, ours, portkey } from "./gateways.ts";
import { askMany, streamMany, vanish } from "./load.ts";

const { values } = parseArgs({
	options: {
		smoke: { type: "boolean", default: false },
		peers: { type: "boolean", default: false },
		rounds: { type: "string" },
	},
});
const { smoke } = values;
const rounds = Number(values.rounds ?? (smoke ? 1 : 5));
const size = smoke
	? { warm: 50, alone: 100, crowd: 400, streams: 8, vanish: 5, memoryStreams: 50 }
	: { warm: 2000, alone: 2000, crowd: 20_000, streams: 200, vanish: 100, memoryStreams: 10_000 };

interface Results {
	readonly aloneMs: number[];
	readonly crowdMs: number[];
	readonly perSecond: number[];
	readonly firstByteMs: number[];
	readonly gapsMs: number[];
	failures: number;
}

async function measure(gateway: Gateway, results: Results): Promise<void> {
	const alone = await askMany(gateway, size.alone, 1);
	const crowd = await askMany(gateway, size.crowd, 32);
	const streams = await streamMany(gateway, size.streams, 32);
	results.aloneMs.push(...alone.latenciesMs);
	results.crowdMs.push(...crowd.latenciesMs);
	results.perSecond.push(crowd.latenciesMs.length / crowd.seconds);
	results.firstByteMs.push(...streams.firstByteMs);
	results.gapsMs.push(...streams.gapsMs);
	results.failures += alone.failures + crowd.failures + streams.failures;
}

const ms = (value: number) => `${value.toFixed(2)} ms`;
const orNone = (samples: readonly number[], share: number) =>
	samples.length === 0 ? "none" : ms(percentile(samples, share));

function report(name: string, results: Results): void {
	console.log(
		`${name.padEnd(16)} c=1 p50 ${orNone(results.aloneMs, 0.5)}, p99 ${orNone(results.aloneMs, 0.99)} · ` +
			`c=32 p50 ${orNone(results.crowdMs, 0.5)}, p99 ${orNone(results.crowdMs, 0.99)}, ${Math.round(median(results.perSecond))} requests/s · ` +
			`first byte ${orNone(results.firstByteMs, 0.5)}, gap p99 ${orNone(results.gapsMs, 0.99)} · ${results.failures} failures`,
	);
}

function verdicts(ways: ReadonlyMap<string, Results>): void {
	const say = (holds: boolean, text: string) => console.log(`${holds ? "met    " : "MISSED "} ${text}`);
	const of = (prefix: string) => [...ways].find(([name]) => name.startsWith(prefix))?.[1];
	const [base, warren] = [of("direct") as Results, of("warren") as Results];
	const added = median(warren.aloneMs) - median(base.aloneMs);
	say(added <= 0.8, `added p50 ${ms(added)}, aim ≤ 0.8 ms`);
	const peer = of("portkey");
	if (peer !== undefined) {
		const ratio = median(warren.perSecond) / median(peer.perSecond);
		say(ratio >= 5, `${ratio.toFixed(1)} × Portkey's requests/s, aim ≥ 5`);
	}
	const lite = of("litellm");
	if (lite !== undefined) {
		const ahead = median(warren.perSecond) > median(lite.perSecond) && median(warren.aloneMs) < median(lite.aloneMs);
		say(ahead, `ahead of LiteLLM on requests/s and p50`);
	}
}

using _lock = takeBenchLock(smoke);

const folder = mkdtempSync(join(tmpdir(), "warren-bench-ai-"));
const closing: (() => void)[] = [];
try {
	console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${rounds} rounds`);
	const { child, ready } = await openChild("upstream.ts");
	closing.push(() => child.kill());
	const upstream = `http://127.0.0.1:${ready.port}`;
	const warren = await ours(upstream, folder);
	closing.push(() => warren.close());
	const gateways = [direct(upstream), warren];
	if (!smoke || values.peers) {
		for (const [name, open] of Object.entries({ portkey, litellm, bifrost })) {
			const own = join(folder, name);
			mkdirSync(own);
			try {
				const gateway = await open(upstream, own);
				closing.push(() => gateway.close());
				gateways.push(gateway);
			} catch (reason) {
				console.log(`without ${name}: ${(reason as Error).message.split("\n")[0]}`);
			}
		}
	}
	const ways = new Map<string, Results>();
	for (const { name } of gateways)
		ways.set(name, { aloneMs: [], crowdMs: [], perSecond: [], firstByteMs: [], gapsMs: [], failures: 0 });
	for (const gateway of gateways) await askMany(gateway, size.warm, 8);
	for (let round = 0; round < rounds; round += 1)
		for (const gateway of gateways) await measure(gateway, ways.get(gateway.name) as Results);
	for (const [name, results] of ways) report(name, results);
	for (const gateway of gateways.slice(1)) {
		const gone = await vanish(gateway, upstream, size.vanish);
		console.log(
			`${gateway.name.padEnd(16)} clients that vanish: provider closed after p50 ${orNone(gone.closedMs, 0.5)}, worst ${orNone(gone.closedMs, 1)}, ${gone.lost} of ${size.vanish} not within 1 s`,
		);
		// Twice: what the first half has grown is grown for good, and what the second adds would go on.
		const memory = [gateway.memory()];
		let streams = 0;
		for (let half = 0; half < 2; half += 1) {
			streams += (await streamMany(gateway, size.memoryStreams / 2, 128)).count;
			memory.push(gateway.memory());
		}
		if (memory[0] !== null)
			console.log(
				`${gateway.name.padEnd(16)} memory ${memory.map((bytes) => bytes?.toFixed(0)).join(" → ")} MiB, at the start, half-way and at the end of ${streams} streams`,
			);
	}
	if (!smoke) verdicts(ways);
} finally {
	for (const close of closing.reverse()) close();
	rmSync(folder, { recursive: true, force: true });
}
