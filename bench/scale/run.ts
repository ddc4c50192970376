/**
 * One and three instances on this machine, side by side: what a cluster costs and how soon it is back.
 * `node scale/run.ts [--smoke]`. All share the machine's cores: three instances show what a hop costs, not what three
 * machines give. docs/cluster.md extrapolates.
 */
import { noNats, noPostgres } from "@warren/testkit";
import { measureBackbone } from "./backbone.ts";
import { measureGateway } from "./gateway.ts";
import { measureHub } from "./hub.ts";

const smoke = process.argv.includes("--smoke");
const forMs = smoke ? 300 : 10_000;
const missing = noPostgres() ?? noNats();
if (missing !== null) throw new Error(missing);

const shown = (ms: number | null) => (ms === null ? "–" : `${(ms / 1000).toFixed(2)} s`);
for (const count of smoke ? [3] : [1, 3, 1, 3, 1, 3]) {
	const backbone = await measureBackbone(count, forMs, 48);
	process.stdout.write(
		`backbone ×${count}  ${Math.round(backbone.requestsPerSecond)} requests/s  p99 ${backbone.p99Ms.toFixed(1)} ms  recovery ${shown(backbone.recoveryMs)}\n`,
	);
	const hub = await measureHub(count, smoke ? 4 : 100, forMs);
	process.stdout.write(
		`hub ×${count}  ${hub.rooms} rooms  ${Math.round(hub.editsPerSecond)} edits/s on disk  ${Math.round(hub.deliveriesPerSecond)} deliveries/s  p99 ${hub.p99Ms.toFixed(1)} ms  recovery ${shown(hub.recoveryMs)}\n`,
	);
	const gateway = await measureGateway(count, smoke ? 6 : 20, forMs);
	process.stdout.write(
		`gateway ×${count}  ${Math.round(gateway.deliveriesPerSecond)} deliveries/s  p99 ${gateway.p99Ms.toFixed(1)} ms  recovery ${shown(gateway.recoveryMs)}\n`,
	);
}
