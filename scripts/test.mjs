// npm test: set-up where it is missing, then every test. Prints what was skipped and why; the last line has the counts.
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { longerTests, networkTests, readReport, runEach, vitestArguments } from "./own-runs.mjs";
import { buildWeb, bundleProgram, install, pinnedEnvironment, runNode } from "./setup.mjs";

install();
buildWeb();
bundleProgram();
const folder = mkdtempSync(join(tmpdir(), "warren-test-"));
const report = join(folder, "report.json");
const wanted = process.argv.slice(2);
// A file that is named is run whatever it is.
const names = wanted.some((each) => !each.startsWith("-"));
const { status } = runNode(vitestArguments(...(names ? [] : ["--project=tests"]), ...wanted), {
	env: { ...pinnedEnvironment(), WARREN_TEST_REPORT: report },
});
const reports = [readReport(report, "npm test")];
if (!names) {
	const { CI, WARREN_LONG_TESTS, WARREN_TESTS_BEGIN_UNTIL: until } = process.env;
	const all = CI !== undefined || WARREN_LONG_TESTS !== undefined;
	const files = [...networkTests, ...(all ? longerTests : [])];
	reports.push(
		...(await runEach(files, folder, until === undefined ? Number.POSITIVE_INFINITY : Number(until) * 1000)),
	);
	const reason = "of the longer tier: CI runs it, here WARREN_LONG_TESTS=1";
	if (!all) reports.push({ passed: 0, failed: [], skipped: longerTests.map((name) => ({ name, reason })) });
}
rmSync(folder, { recursive: true });
const passed = reports.reduce((sum, each) => sum + each.passed, 0);
const skipped = reports.flatMap((each) => each.skipped);
for (const { name, reason } of skipped) console.log(`skipped: ${name}: ${reason ?? "no reason given"}`);
const unexplained = skipped
	.filter(({ reason }) => reason === null)
	.map(({ name }) => `${name} was skipped without a reason`);
const failures = [...reports.flatMap(({ failed }) => failed), ...unexplained];
for (const name of failures) console.log(`failed: ${name}`);
console.log(`${passed} passed, ${failures.length} failed, ${skipped.length} skipped`);
process.exit(failures.length > 0 || passed === 0 || status !== 0 ? 1 : 0);
