// npm run build:executable: dist/warren, one file that needs neither Node nor npm. The pinned Node carries a payload: the
// program's bundle, the web UI, and the native libraries of this platform. At its first start it unpacks that into the
// user's cache.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { cpSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join, relative, sep } from "node:path";
import { gzipSync } from "node:zlib";
import { buildWeb, fail, pinnedNode, root, runNode, say } from "./setup.mjs";

buildWeb();
const work = mkdtempSync(join(tmpdir(), "warren-executable-"));
const payload = join(work, "payload");
try {
	bundle();
	copyFiles();
	const packed = pack();
	const target = join(root, "dist", process.platform === "win32" ? "warren.exe" : "warren");
	mkdirSync(join(root, "dist"), { recursive: true });
	build(packed, target);
	say(`${target}: one file, ${(readFileSync(target).length / 1e6).toFixed(0)} MB`);
} finally {
	rmSync(work, { recursive: true, force: true });
}

function bundle() {
	const folder = join(payload, "apps/warren/dist");
	const done = runNode([join(root, "scripts/bundle-program.mjs"), folder], { stdio: ["ignore", 2, 2] });
	if (done.status !== 0) fail("The program could not be bundled; the lines above say why.");
	writeFileSync(join(folder, ".built-from"), "");
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
