// node bench/terminal/run.ts [--smoke] [--rounds N]: key to glyph, Ctrl-C in a flood, a large file, cuts, a stalled
// reader; beside wetty, in alternating runs. --smoke: one short round without peers or verdicts.
import { execFileSync } from "node:child_process";
import { closeSync, mkdtempSync, openSync, rmSync, writeSync } from "node:fs";
import { cpus, tmpdir } from "node:os";
import { join } from "node:path";
import { parseArgs } from "node:util";
import { takeBenchLock } from "../bench-lock.ts";
import { ByteRelay } from "./byte-relay.ts";
import { ClientProcess } from "./client-process.ts";
import { BenchNode, BenchWetty } from "./servers.ts";
import { median, percentile } from "./statistics.ts";
import type { ClientTarget } from "./tasks.ts";

const { values } = parseArgs({ options: { smoke: { type: "boolean", default: false }, rounds: { type: "string" } } });
const { smoke } = values;
const rounds = Number(values.rounds ?? (smoke ? 1 : 5));
const size = smoke
	? { keys: 60, floodMs: 500, fileBytes: 2_000_000, cuts: 10, stallMs: 1000 }
	: { keys: 400, floodMs: 3000, fileBytes: 34_000_000, cuts: 100, stallMs: 5000 };

interface Results {
	readonly keysMs: number[];
	readonly interruptMs: number[];
	readonly fileMs: number[];
	readonly fileBytes: number[];
}

/** One round of one way: key to glyph, flood and Ctrl-C, the large file. */
async function measure(target: ClientTarget, file: string, results: Results): Promise<void> {
	const client = await ClientProcess.open(target);
	try {
		const keys = await client.ask({ do: "keys", count: size.keys });
		if ("samplesMs" in keys) results.keysMs.push(...keys.samplesMs);
		const interrupt = await client.ask({ do: "interrupt", floodMs: size.floodMs });
		if ("ms" in interrupt) results.interruptMs.push(interrupt.ms);
		const catted = await client.ask({ do: "file", path: file });
		if ("ms" in catted) {
			results.fileMs.push(catted.ms);
			results.fileBytes.push(catted.bytes);
		}
	} finally {
		await client.close();
	}
}

/** @returns whether the client's screen is tmux's own after so many cuts, and nothing had to be reset. */
async function measureCuts(node: BenchNode, session: string): Promise<string> {
	const client = await ClientProcess.open(await node.target(session));
	try {
		const answer = await client.ask({ do: "cuts", count: size.cuts, seed: 7 });
		if (!("screen" in answer)) throw new Error("no screen came back");
		const kept = node.capture(session);
		const same = kept.every((line, row) => line.trimEnd() === (answer.screen[row] ?? "").trimEnd());
		return `${answer.cuts} cuts: screen ${same ? "the same as tmux's" : "DIFFERS from tmux's"}, ${answer.resets} resets`;
	} finally {
		await client.close();
	}
}

async function measureStall(node: BenchNode, session: string): Promise<string> {
	const client = await ClientProcess.open(await node.target(session));
	try {
		const before = node.memoryBytes;
		await client.ask({ do: "stall", floodMs: size.stallMs });
		const grown = (node.memoryBytes - before) / 1024 ** 2;
		return `a reader stalled for ${size.stallMs} ms in a flood: the node's memory changed by ${grown.toFixed(1)} MiB`;
	} finally {
		await client.close();
	}
}

/** Coloured lines with characters of two, three and four bytes. */
function writeColouredFile(path: string, bytes: number): void {
	const file = openSync(path, "w");
	let written = 0;
	for (let line = 0; written < bytes; line += 1) {
		const colour = 31 + (line % 7);
		written += writeSync(
			file,
			`\u001b[1;${colour}m${line}\u001b[0m größe ▓▒░ ${"█".repeat(line % 60)} 🐇 \u001b[48;5;${line % 256}mend\u001b[0m\n`,
		);
	}
	closeSync(file);
}

function emptyResults(): Results {
	return { keysMs: [], interruptMs: [], fileMs: [], fileBytes: [] };
}

function report(name: string, results: Results): void {
	const ms = (value: number) => `${value.toFixed(2)} ms`;
	const speed = median(results.fileMs.map((each) => size.fileBytes / 1e6 / (each / 1000)));
	console.log(
		`${name.padEnd(16)} key → glyph p50 ${ms(median(results.keysMs))}, p99 ${ms(percentile(results.keysMs, 0.99))} (${results.keysMs.length}) · ` +
			`Ctrl-C ${ms(median(results.interruptMs))} · file ${ms(median(results.fileMs))} (${speed.toFixed(1)} MB/s, ${(median(results.fileBytes) / 1e6).toFixed(2)} MB on the wire)`,
	);
}

function verdicts(ways: ReadonlyMap<string, Results>): void {
	const direct = ways.get("warren") as Results;
	const relayed = ways.get("warren, 1 hop");
	const wetty = ways.get("wetty");
	const say = (holds: boolean, text: string) => console.log(`${holds ? "met    " : "MISSED "} ${text}`);
	const p50 = median(direct.keysMs);
	const p99 = percentile(direct.keysMs, 0.99);
	say(p50 <= 3, `key → glyph p50 ${p50.toFixed(2)} ms, aim ≤ 3 ms`);
	if (wetty !== undefined) {
		const ratio = p99 / percentile(wetty.keysMs, 0.99);
		say(ratio <= 0.5, `key → glyph p99 ${ratio.toFixed(2)} × wetty's, aim ≤ 0.5`);
		console.log(`        key → glyph p50 ${(p50 / median(wetty.keysMs)).toFixed(2)} × wetty's`);
		console.log(`        Ctrl-C ${(median(direct.interruptMs) / median(wetty.interruptMs)).toFixed(2)} × wetty's`);
		console.log(`        file ${(median(direct.fileMs) / median(wetty.fileMs)).toFixed(2)} × wetty's`);
	}
	if (relayed !== undefined) {
		const hop = median(relayed.keysMs) - p50;
		const twice = ways.get("warren, 2 hops");
		if (twice !== undefined)
			console.log(`        a second hop adds ${(median(twice.keysMs) - median(relayed.keysMs)).toFixed(2)} ms p50`);
		say(hop <= 1.5, `a relay hop adds ${hop.toFixed(2)} ms p50, aim ≤ 1.5 ms`);
	}
	const interrupt = median(direct.interruptMs);
	say(interrupt <= 100, `Ctrl-C ${interrupt.toFixed(1)} ms, aim ≤ 100 ms`);
}

using _lock = takeBenchLock(smoke);

const folder = mkdtempSync(join(tmpdir(), "warren-bench-file-"));
const closing: { close(): Promise<void> }[] = [];
try {
	const file = join(folder, "coloured");
	writeColouredFile(file, size.fileBytes);
	const tmux = execFileSync("tmux", ["-V"], { encoding: "utf8" }).trim();
	console.log(
		`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${tmux}, ${size.fileBytes / 1e6} MB file, ${rounds} rounds`,
	);
	const open = async <T extends { close(): Promise<void> }>(opening: Promise<T>): Promise<T> => {
		const opened = await opening;
		closing.push(opened);
		return opened;
	};
	const node = await open(BenchNode.open("near"));
	const targets = new Map<string, ClientTarget>([["warren", await node.target(await node.session("direct"))]]);
	if (!smoke) {
		const far = await open(BenchNode.open("far"));
		targets.set("warren, 1 hop", await far.target(await far.session("relayed"), node));
		const second = await open(ByteRelay.open(node.port));
		targets.set("warren, 2 hops", second.before(await far.target(await far.session("relayed-twice"), node)));
		if (BenchWetty.obstacle === null) {
			const wetty = await open(BenchWetty.open(node.socketPath, await node.session("wetty")));
			console.log(`wetty ${wetty.version} attached to the same tmux server, over plain HTTP (warren's own is TLS)`);
			targets.set("wetty", wetty.target);
		} else console.log(`without wetty: ${BenchWetty.obstacle}`);
	}
	const ways = new Map([...targets.keys()].map((name) => [name, emptyResults()]));
	for (let round = 0; round < rounds; round += 1) {
		for (const [name, target] of targets) await measure(target, file, ways.get(name) as Results);
	}
	for (const [name, results] of ways) report(name, results);
	console.log(await measureCuts(node, await node.session("cuts")));
	console.log(await measureStall(node, await node.session("stall")));
	if (!smoke) verdicts(ways);
} finally {
	for (const each of closing.reverse()) await each.close();
	rmSync(folder, { recursive: true, force: true });
}
