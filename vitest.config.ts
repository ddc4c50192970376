import { defineConfig } from "vitest/config";

export default defineConfig({
	test: {
		include: [
			"packages/*/src/**/*.test.ts",
			"apps/*/src/**/*.test.{ts,tsx}",
			"scripts/**/*.test.ts",
			"e2e/**/*.test.ts",
			"bench/*.test.ts",
		],
		testTimeout: 30_000,
		hookTimeout: 60_000,
		// Two cores, and processes of our own beside the workers.
		maxWorkers: 2,
	},
});
