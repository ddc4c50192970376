// Bundles the program into a few files: `node scripts/bundle-program.mjs FOLDER`. Run by the pinned Node: see setup.mjs.
import { mkdirSync, readdirSync, rmSync, statSync } from "node:fs";
import { basename, join } from "node:path";
import { rolldown } from "rolldown";
import { root } from "./setup.mjs";

/** Modules that a bundler cannot take: one is optional and never installed, one needs what Node 26 has no more. */
const replaced = {
	"pg-native": "export default {};",
	"buffer-equal-constant-time":
		'import { timingSafeEqual } from "node:crypto"; export default (a, b) => a.length === b.length && timingSafeEqual(a, b);',
};
const replacements = {
	name: "replacements",
	resolveId: (id) => (id in replaced ? `\0${id}` : null),
	load: (id) => (id.startsWith("\0") ? (replaced[id.slice(1)] ?? null) : null),
};

const folder = process.argv[2];
mkdirSync(folder, { recursive: true });
const lastTime = changedAt("program.js");
const written = await bundle();
// A program that runs may still want a part of the bundle that it began with: the last one stays, those before it go.
const writingMs = 60_000;
for (const name of readdirSync(folder))
	if (!written.has(name) && changedAt(name) < lastTime - writingMs) rmSync(join(folder, name));

/** ms since 1970; 0 = there is no such file. */
function changedAt(name) {
	return statSync(join(folder, name), { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

/** @returns the names of its files. */
async function bundle() {
	// Threads are started by their files' own names: each is an entry.
	const workers = readdirSync(join(root, "packages"), { recursive: true })
		.filter((file) => file.endsWith("-worker.ts") && !file.includes("node_modules"))
		.map((file) => join("packages", file));
	const build = await rolldown({
		cwd: root,
		platform: "node",
		input: {
			program: "apps/warren/src/program.js",
			...Object.fromEntries(workers.map((file) => [basename(file, ".ts"), file])),
		},
		// Native ones, one whose modules require each other in a circle, and one that is never inside.
		external: [/^node:/, "koffi", /^@lydell\/node-pty/, /^@nats-io\//, "opencode-ai"],
		plugins: [replacements],
		logLevel: "warn",
	});
	const { output } = await build.write({
		dir: folder,
		format: "esm",
		// Threads keep their names: what names a file by its URL finds it from here as from its source.
		entryFileNames: ({ name }) => (name === "program" ? "program.js" : `${name}.ts`),
	});
	return new Set(output.map(({ fileName }) => fileName));
}
