// Test files that get a run of their own: those that lay interfaces, each in a network of its own, and the longer tier.
import { spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { pinnedEnvironment, pinnedNode, root } from "./setup.mjs";

/** Clusters, proxies, NATs, browsers on slow lines, benches. The longest first: what is left at the end fits between. */
export const longerTests = JSON.parse(readFileSync(join(root, "scripts/longer-tests.json"), "utf8"));
/** They lay interfaces into the network that they run in, which breaks off what a browser there is fetching. */
export const networkTests = readdirSync(join(root, "e2e/src/network"))
	.filter((name) => name.endsWith(".test.ts"))
	.map((name) => `e2e/src/network/${name}`)
	.filter((file) => !longerTests.includes(file));
const atOnce = 3;

/** @returns the arguments of a test run that writes its report. */
export function vitestArguments(...more) {
	const reporters = ["--reporter=default", "--reporter=./scripts/test-report.ts"];
	return [join(root, "node_modules/vitest/vitest.mjs"), "run", ...reporters, ...more];
}

/** @returns what a run reported, or that it has not. */
export function readReport(file, name) {
	if (existsSync(file)) return JSON.parse(readFileSync(file, "utf8"));
	return { passed: 0, failed: [`${name}: the test runner ended without a report`], skipped: [] };
}

/**
 * Each file in a run of its own, three at once; none begins after that time, so that a slow machine is done in time, too.
 * @param folder for reports. @param until ms since 1970; Infinity = all of them run.
 * @returns a report of each. The files whose turn never came are skipped, and say so.
 */
export async function runEach(files, folder, until) {
	const waiting = [...files];
	const reports = [];
	const one = async () => {
		for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
			if (Date.now() >= until) {
				reports.push({ passed: 0, failed: [], skipped: [{ name: file, reason: "no time was left for it" }] });
				continue;
			}
			const report = join(folder, `${files.indexOf(file)}.json`);
			const command = [pinnedNode(), ...vitestArguments(file)];
			const [program, ...args] = networkTests.includes(file) ? [...ownNetwork(), ...command] : command;
			const run = spawn(program, args, {
				cwd: root,
				env: { ...pinnedEnvironment(), WARREN_TEST_REPORT: report },
				stdio: ["ignore", "pipe", "pipe"],
			});
			// As one text: beside others its lines would be torn apart.
			const said = [];
			for (const stream of [run.stdout, run.stderr]) stream.on("data", (piece) => said.push(piece));
			await once(run, "close");
			process.stdout.write(Buffer.concat(said));
			reports.push(readReport(report, file));
		}
	};
	await Promise.all(Array.from({ length: atOnce }, one));
	return reports;
}

/** What a run goes through to see no interface but its own; nothing where the system has no such thing, or forbids it. */
function ownNetwork() {
	const through = ["unshare", "--net", "sh", "-c", 'ip link set lo up && exec "$@"', "sh"];
	return spawnSync(through[0], [...through.slice(1), "true"]).status === 0 ? through : [];
}
