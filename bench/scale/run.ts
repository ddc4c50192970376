/**
 * One and three instances on this machine, side by side: what a cluster costs and how soon it is back.
 * `node scale/run.ts [--smoke]`. All share the machine's cores: three instances show what a hop costs, not what three
 * machines give. docs/cluster.md extrapolates.
 */
import { spawnSync } from "node:child_process";
import { cpus } from "node:os";
import { noNats, noPostgres, TestNats, TestPostgres } from "@warren/testkit";
import { takeBenchLock } from "../bench-lock.ts";
import { measureBackbone } from "./backbone.ts";
import { measureEngines } from "./engines.ts";
import { measureGateway } from "./gateway.ts";
import { measureHub } from "./hub.ts";

const smoke = process.argv.includes("--smoke");
const forMs = smoke ? 300 : 10_000;
const rounds = smoke ? [3] : [1, 3, 1, 3, 1, 3];
const missing = noPostgres() ?? noNats();
if (missing !== null) throw new Error(missing);
using _lock = takeBenchLock(smoke);

/** By what is measured and the number of instances: one value a round. */
const seen = new Map<string, number[]>();
const keep = (what: string, value: number | null) => {
	if (value !== null) seen.set(what, [...(seen.get(what) ?? []), value]);
	return value;
};
const seconds = (ms: number | null) => (ms === null ? "–" : `${(ms / 1000).toFixed(2)} s`);
const print = (line: string) => void process.stdout.write(`${line}\n`);
const firstLine = (program: string, args: readonly string[]) =>
	(spawnSync(program, args, { encoding: "utf8" }).stdout ?? "").split("\n")[0]?.trim() ?? "";

const commit = firstLine("git", ["rev-parse", "--short", "HEAD"]);
const versions = `PostgreSQL ${TestPostgres.version()}, NATS ${TestNats.version()}`;
print(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${versions}, commit ${commit}`);
print(`${rounds.length} rounds of ${forMs / 1000} s a figure`);

for (const count of rounds) {
	const backbone = await measureBackbone(count, forMs, 48);
	const perSecond = keep(`backbone requests/s ×${count}`, backbone.requestsPerSecond) as number;
	const recovery = seconds(keep(`backbone recovery ms ×${count}`, backbone.recoveryMs));
	keep(`backbone p99 ms ×${count}`, backbone.p99Ms);
	print(
		`backbone ×${count}  ${Math.round(perSecond)} requests/s  p99 ${backbone.p99Ms.toFixed(1)} ms  recovery ${recovery}`,
	);
	const engines = await measureEngines(count, forMs);
	keep(`NATS leases/s ×${count}`, engines.leasesPerSecond);
	keep(`PostgreSQL commits/s ×${count}`, engines.commitsPerSecond);
	print(
		`engines ×${count}  ${Math.round(engines.leasesPerSecond)} leases/s told to ${count}  ${Math.round(engines.commitsPerSecond)} commits/s on disk`,
	);
	const hub = await measureHub(count, smoke ? 4 : 100, forMs);
	keep(`hub requests/s ×${count}`, hub.requestsPerSecond);
	keep(`hub edits/s ×${count}`, hub.editsPerSecond);
	keep(`hub deliveries/s ×${count}`, hub.deliveriesPerSecond);
	keep(`hub p99 ms ×${count}`, hub.p99Ms);
	keep(`hub recovery ms ×${count}`, hub.recoveryMs);
	print(
		`hub ×${count}  ${hub.rooms} rooms  ${Math.round(hub.editsPerSecond)} edits/s on disk  ${Math.round(hub.deliveriesPerSecond)} deliveries/s  p99 ${hub.p99Ms.toFixed(1)} ms  recovery ${seconds(hub.recoveryMs)}  ${Math.round(hub.requestsPerSecond)} requests/s`,
	);
	const gateway = await measureGateway(count, smoke ? 6 : 20, forMs);
	keep(`gateway deliveries/s ×${count}`, gateway.deliveriesPerSecond);
	keep(`gateway p99 ms ×${count}`, gateway.p99Ms);
	keep(`gateway recovery ms ×${count}`, gateway.recoveryMs);
	print(
		`gateway ×${count}  ${Math.round(gateway.deliveriesPerSecond)} deliveries/s  p99 ${gateway.p99Ms.toFixed(1)} ms  recovery ${seconds(gateway.recoveryMs)}`,
	);
}

if (!smoke) {
	print("\nmedians");
	const median = (values: readonly number[]) =>
		[...values].sort((a, b) => a - b)[Math.floor(values.length / 2)] ?? Number.NaN;
	const names = new Set([...seen.keys()].map((name) => name.replace(/ ×\d$/, "")));
	const shown = (value: number) => (value >= 100 ? String(Math.round(value)) : value.toFixed(1));
	for (const name of names) {
		const [one, three] = [1, 3].map((count) => seen.get(`${name} ×${count}`)).map((all) => all && median(all));
		const ratio = one !== undefined && three !== undefined ? `  ×3 / ×1 ${(three / one).toFixed(2)}` : "";
		const each = [one, three].map((value) => (value === undefined ? "–" : shown(value)).padStart(8));
		print(`${name.padEnd(24)}  one ${each[0]}  three ${each[1]}${ratio}`);
	}
}
