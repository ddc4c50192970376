import { defineConfig } from "vitest/config";
import longerTests from "./scripts/longer-tests.json" with { type: "json" };

/** These lay interfaces into the network that they run in: scripts/own-runs.mjs gives each one of its own. */
const network = ["e2e/src/network/*.test.ts"];

export default defineConfig({
	test: {
		// Watchdogs, no measures: a busy machine is no failure.
		testTimeout: 60_000,
		hookTimeout: 120_000,
		expect: { poll: { timeout: 30_000 } },
		// More than the cores: most of a test is waiting for processes of our own.
		maxWorkers: 3,
		projects: [
			{
				extends: true,
				test: {
					name: "tests",
					include: [
						"packages/*/src/**/*.test.ts",
						"apps/*/src/**/*.test.{ts,tsx}",
						"scripts/**/*.test.ts",
						"e2e/**/*.test.ts",
					],
					exclude: ["**/node_modules/**", ...network, ...longerTests],
				},
			},
			// Clusters, proxies, NATs, benches: scripts/test.mjs leaves them to CI.
			{ extends: true, test: { name: "longer", include: longerTests } },
			{
				extends: true,
				// In the machine's own, where they were named: after the others, one at a time.
				test: { name: "network", include: network, exclude: longerTests, sequence: { groupOrder: 1 }, maxWorkers: 1 },
			},
		],
	},
});
