// npm run check: format, types, lint, unused code, layers. Each prints its own findings; the first failure does not hide the rest.
import { join } from "node:path";
import { install, root, runNode, say } from "./setup.mjs";

install();
const bin = (path) => join(root, "node_modules", path);
const steps = [
	["format", [bin("@biomejs/biome/bin/biome"), "ci", "."]],
	["types", [bin("typescript/bin/tsc"), "-p", "."]],
	["types of the web UI", [bin("typescript/bin/tsc"), "-p", "apps/web"]],
	["lint", [bin("oxlint/bin/oxlint"), "--type-aware", "--deny-warnings"]],
	["unused code", [bin("knip/bin/knip.js"), "--no-config-hints"]],
	["layers", [bin("vitest/vitest.mjs"), "run", "scripts/layers.test.ts"]],
];
const failed = steps.filter(([name, args]) => {
	say(`— ${name}`);
	return runNode(args).status !== 0;
});
if (failed.length > 0) say(`failed: ${failed.map(([name]) => name).join(", ")}`);
process.exit(failed.length > 0 ? 1 : 0);
