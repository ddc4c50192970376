// node bench/start/run.ts [--smoke] [--rounds N]: how long after `warren up` is called on a machine that ran before its
// terminal answers, all roles beside it. No peers: it is compared with its aim. Medians and the longest.
import { cpus } from "node:os";
import { parseArgs } from "node:util";
import { startNode, tempFolder } from "@warren/testkit";
import { takeBenchLock } from "../bench-lock.ts";
import { median } from "../terminal/statistics.ts";

const { values } = parseArgs({ options: { smoke: { type: "boolean", default: false }, rounds: { type: "string" } } });
const rounds = Number(values.rounds ?? (values.smoke ? 1 : 10));
using _lock = takeBenchLock(values.smoke);
using home = tempFolder("bench-start");

/** Every role that `up` has, on ports of the system's choice; no interface of the overlay. */
const env = {
	WARREN_EDGE: "1",
	WARREN_SIDECAR_PORT: "0",
	WARREN_COORDINATOR_PORT: "0",
	WARREN_STUN_PORT: "0",
	WARREN_BACKBONE_PORT: "0",
	WARREN_GATEWAY_PORT: "0",
};

/** Milliseconds from the call until it said that it is ready, and until its sessions were listed. */
async function start(): Promise<{ readonly ready: number; readonly terminal: number }> {
	const calledAt = performance.now();
	await using node = await startNode({ command: ["up"], home: home.path, env });
	const ready = performance.now() - calledAt;
	const answer = await node.fetch("/api/sessions");
	if (answer.status !== 200) throw new Error(`/api/sessions answered ${answer.status}`);
	await answer.arrayBuffer();
	return { ready, terminal: performance.now() - calledAt };
}

console.log(`${cpus().length} × ${cpus()[0]?.model}, Node ${process.version}, ${rounds} warm starts`);
await start();
const seen: Awaited<ReturnType<typeof start>>[] = [];
for (let round = 0; round < rounds; round++) seen.push(await start());
for (const what of ["ready", "terminal"] as const) {
	const each = seen.map((one) => one[what]);
	console.log(`${what.padEnd(8)} ${median(each).toFixed(0)} ms, at most ${Math.max(...each).toFixed(0)} ms`);
}
