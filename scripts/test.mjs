// npm test: set-up where it is missing, then every test. Prints what was skipped and why; the last line has the counts.
import { existsSync, mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { buildWeb, fail, install, pinnedEnvironment, root, runNode } from "./setup.mjs";

install();
buildWeb();
const folder = mkdtempSync(join(tmpdir(), "warren-test-"));
const report = join(folder, "report.json");
const wanted = process.argv.slice(2);
// Clusters, proxies, NATs and benches are CI's at each change; a file that is named is run whatever it is.
const runsAll = process.env.CI !== undefined || process.env.WARREN_LONG_TESTS !== undefined;
const left =
	runsAll || wanted.some((each) => !each.startsWith("-"))
		? []
		: JSON.parse(readFileSync(join(root, "scripts/longer-tests.json"), "utf8"));
const ran = runNode(
	[
		join(root, "node_modules/vitest/vitest.mjs"),
		"run",
		"--reporter=default",
		"--reporter=./scripts/test-report.ts",
		...(left.length > 0 ? ["--project=!longer"] : []),
		...wanted,
	],
	{
		env: { ...pinnedEnvironment(), WARREN_TEST_REPORT: report },
	},
);
if (!existsSync(report)) fail("The test runner ended without a report.");
const { passed, failed, skipped } = JSON.parse(readFileSync(report, "utf8"));
for (const file of left)
	skipped.push({ name: file, reason: "of the longer tier: CI runs it, here WARREN_LONG_TESTS=1" });
rmSync(folder, { recursive: true });
for (const { name, reason } of skipped) console.log(`skipped: ${name}: ${reason ?? "no reason given"}`);
const unexplained = skipped
	.filter(({ reason }) => reason === null)
	.map(({ name }) => `${name} was skipped without a reason`);
const failures = [...failed, ...unexplained];
for (const name of failures) console.log(`failed: ${name}`);
console.log(`${passed} passed, ${failures.length} failed, ${skipped.length} skipped`);
process.exit(failures.length > 0 || passed === 0 || ran.status !== 0 ? 1 : 0);
