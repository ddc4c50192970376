import { writeFileSync } from "node:fs";
import type { Reporter, TestModule } from "vitest/node";

/** What `scripts/test.mjs` prints at the end, as JSON in the file that it names. */
export interface TestReport {
	passed: number;
	failed: string[];
	skipped: { name: string; reason: string | null }[];
}

export default class TestReporter implements Reporter {
	onTestRunEnd(modules: readonly TestModule[], unhandled: readonly unknown[]): void {
		const report: TestReport = { passed: 0, failed: [], skipped: [] };
		for (const module of modules) {
			// A file that could not be loaded has failed, though it counts no test.
			for (const error of module.errors())
				report.failed.push(`${module.relativeModuleId}: ${error.message.split("\n")[0]}`);
			for (const test of module.children.allTests()) {
				const name = `${module.relativeModuleId} > ${test.fullName}`;
				const result = test.result();
				if (result.state === "passed") report.passed += 1;
				else if (result.state === "failed") report.failed.push(`${name}: ${result.errors.map(told).join("; ")}`);
				else
					report.skipped.push({ name, reason: ("note" in result ? result.note : undefined) ?? whereOf(test.fullName) });
			}
		}
		for (const error of unhandled)
			report.failed.push(`outside of any test: ${String((error as Error).message ?? error)}`);
		const file = process.env["WARREN_TEST_REPORT"];
		if (file !== undefined) writeFileSync(file, JSON.stringify(report));
	}
}

/** A browser's error says only in its later lines what it waited for. */
const toldCharacters = 600;

/** @returns the message on one line, and the place in the test's file, or its helper's, where it came up. */
function told({ message, stack }: { readonly message: string; readonly stack?: string }): string {
	const text = message
		.replaceAll(/\u001b\[\d+m/g, "")
		.replaceAll(/\s+/g, " ")
		.trim()
		.slice(0, toldCharacters);
	const at = stack
		?.split("\n")
		.map((line) => /((?:apps|packages|e2e|bench|scripts)\/[^\s()]+:\d+):\d+\)?$/.exec(line)?.[1])
		.find((place) => place !== undefined);
	return at === undefined ? text : `${text} (${at})`;
}

/** A whole suite that is left out says so in its title: "… (skipped where tmux is not installed)". */
function whereOf(fullName: string): string | null {
	return /\((skipped where [^)]+)\)/.exec(fullName)?.[1] ?? null;
}
