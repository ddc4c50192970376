// npm run build:executable: dist/warren, one file that needs neither Node nor npm. The pinned Node carries a payload: the
// program bundled module by module (relative paths, workers and files stay where they are), the web UI, and the native
// libraries of this platform. At its first start it unpacks that into the user's cache.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";
import { rolldown } from "rolldown";
import { buildWeb, fail, pinnedNode, root, say } from "./setup.mjs";

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

buildWeb();
const work = mkdtempSync(join(tmpdir(), "warren-executable-"));
const payload = join(work, "payload");
try {
	await bundle();
	copyFiles();
	const packed = pack();
	const target = join(root, "dist", process.platform === "win32" ? "warren.exe" : "warren");
	mkdirSync(join(root, "dist"), { recursive: true });
	build(packed, target);
	say(`${target}: one file, ${(readFileSync(target).length / 1e6).toFixed(0)} MB`);
} finally {
	rmSync(work, { recursive: true, force: true });
}

/** Threads are started by their files' own names: each is an entry. */
async function bundle() {
	const workers = readdirSync(join(root, "packages"), { recursive: true })
		.map((file) => join("packages", file))
		.filter((file) => file.endsWith("-worker.ts") && !file.includes("node_modules"));
	const entries = ["apps/warren/src/main.js", ...workers];
	const build = await rolldown({
		cwd: root,
		platform: "node",
		input: Object.fromEntries(entries.map((file) => [file.slice(0, -3).split(sep).join("/"), file])),
		// Native ones, one whose modules require each other in a circle, and one that is never inside.
		external: [/^node:/, "koffi", /^@lydell\/node-pty/, /^@nats-io\//, "opencode-ai"],
		plugins: [replacements],
		logLevel: "warn",
	});
	await build.write({
		dir: payload,
		format: "esm",
		preserveModules: true,
		preserveModulesRoot: root,
		// Ours keep their names, so that what they name by URL is found.
		entryFileNames: ({ name, facadeModuleId }) =>
			`${name}.${facadeModuleId?.endsWith(".ts") && !facadeModuleId.includes("node_modules") ? "ts" : "js"}`,
	});
}

function copyFiles() {
	writeFileSync(join(payload, "package.json"), '{"type":"module"}\n');
	cpSync(join(root, "apps/warren/package.json"), join(payload, "apps/warren/package.json"));
	// Pages that are served as they lie beside the code.
	for (const file of readdirSync(join(root, "apps/warren/src"), { recursive: true }))
		if (/\.(js|css|html|svg)$/.test(file))
			cpSync(join(root, "apps/warren/src", file), join(payload, "apps/warren/src", file));
	cpSync(join(root, "apps/web/dist"), join(payload, "apps/web/dist"), { recursive: true });
	for (const scope of ["", "@lydell", "@koromix", "@nats-io"]) {
		const folder = join(root, "node_modules", scope);
		for (const name of existsSync(folder) ? readdirSync(folder) : [])
			if (
				scope === ""
					? ["koffi", "tweetnacl", "uqr"].includes(name)
					: scope === "@nats-io" || /^(node-pty|koffi)/.test(name)
			)
				cpSync(join(folder, name), join(payload, "node_modules", scope, name), { recursive: true, dereference: true });
	}
}

/** A line of JSON that lists the files, then their bytes; compressed. */
function pack() {
	const files = readdirSync(payload, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile())
		.map((entry) => join(entry.parentPath, entry.name))
		.sort();
	const bytes = files.map((file) => readFileSync(file));
	const list = files.map((file, index) => [relative(payload, file).split(sep).join("/"), bytes[index].length]);
	return gzipSync(Buffer.concat([Buffer.from(`${JSON.stringify(list)}\n`), ...bytes]), { level: 9 });
}

function build(packed, target) {
	const asset = join(work, "payload.gz");
	const id = join(work, "id");
	const configuration = join(work, "sea.json");
	writeFileSync(asset, packed);
	writeFileSync(id, createHash("sha256").update(packed).digest("hex").slice(0, 16));
	writeFileSync(
		configuration,
		JSON.stringify({
			main: join(root, "scripts/executable-start.mjs"),
			mainFormat: "module",
			output: target,
			disableExperimentalSEAWarning: true,
			assets: { payload: asset, id },
		}),
	);
	const done = spawnSync(pinnedNode(), ["--build-sea", configuration], { stdio: ["ignore", 2, 2] });
	if (done.status !== 0) fail(`Node could not build the executable (${done.status ?? done.error?.message}).`);
}
