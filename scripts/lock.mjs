// npm run lock, after a dependency changed: makes package-lock.json anew and complete. A registry mirror that lacks some
// platform's binaries makes npm leave their entries out, and `npm ci` then refuses the lockfile everywhere; so they are
// written from what their owners declare. Such an entry has no integrity of its own and is only ever a development tool.

import { spawnSync } from "node:child_process";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { fail, root, say } from "./setup.mjs";

const file = join(root, "package-lock.json");
const npm = process.env.npm_execpath;
const done = spawnSync(
	process.execPath,
	[npm, "install", "--package-lock-only", "--no-audit", "--no-fund", "--loglevel=error"],
	{ cwd: root, stdio: "inherit" },
);
if (done.status !== 0) fail("npm could not resolve the dependencies.");

const lock = JSON.parse(readFileSync(file, "utf8"));
const missing = {};
for (const entry of Object.values(lock.packages)) {
	for (const [name, version] of Object.entries(entry.optionalDependencies ?? {})) {
		const key = `node_modules/${name}`;
		if (lock.packages[key] !== undefined) continue;
		if (!entry.dev) fail(`${name}, which ships, is not in the registry: it must not be left out.`);
		missing[key] = { version, ...platformOf(name), dev: true, optional: true };
	}
}
lock.packages = Object.fromEntries(
	Object.entries({ ...lock.packages, ...missing }).sort(([a], [b]) => (a < b ? -1 : 1)),
);
const text = `${JSON.stringify(lock, null, "\t")}\n`;
if (/"resolved": "https?:/.test(text)) fail("The lockfile names download addresses; .npmrc should prevent that.");
writeFileSync(file, text);
rmSync(join(root, "node_modules/.warren-installed"), { force: true });
say(`package-lock.json is complete; ${Object.keys(missing).length} entries were written from their owners.`);

/** Binaries carry their platform in their name. */
function platformOf(name) {
	const os = ["darwin", "win32", "android", "freebsd", "openharmony", "linux"].find((each) => name.includes(each));
	const cpu = ["arm64", "x64", "ia32", "riscv64", "s390x", "ppc64", "arm", "wasm32"].find((each) =>
		name.includes(each),
	);
	if (os === undefined || cpu === undefined) fail(`${name}: its name does not say for which platform it is.`);
	return { cpu: [cpu], os: [os], ...(name.includes("musl") ? { libc: ["musl"] } : {}) };
}
