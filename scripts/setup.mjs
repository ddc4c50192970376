// Brings a checkout to where it can run: dependencies, then the pinned Node, then the web UI and the program's bundle. Plain JavaScript, because
// it is what a machine's own, perhaps older, Node runs first.
import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";
import { bundleStamp, isSource, sourceFolders } from "../apps/warren/src/bundle.js";

export const root = dirname(dirname(fileURLToPath(import.meta.url)));
const modules = join(root, "node_modules");
/** Written last, so that an install that was cut off is done again. */
const installStamp = join(modules, ".warren-installed");
const webStamp = join(root, "apps/web/dist/.built-from");

/** The pinned Node, once installed; the one that runs this where there is no binary for the platform. */
export function pinnedNode() {
	const file = join(modules, ".bin", process.platform === "win32" ? "node.cmd" : "node");
	return existsSync(file) ? file : process.execPath;
}

/** Installs what the lockfile says, unless that was done already. */
export function install() {
	if (existsSync(installStamp) && readFileSync(installStamp, "utf8") === installWanted()) return;
	say("Installing dependencies (once)…");
	const npm = process.env.npm_execpath;
	const [command, args] = npm?.endsWith("js")
		? [process.execPath, [npm]]
		: [process.platform === "win32" ? "npm.cmd" : "npm", []];
	const done = spawnSync(command, [...args, "ci", "--no-audit", "--no-fund", "--loglevel=error"], {
		cwd: root,
		stdio: ["ignore", 2, 2],
		shell: process.platform === "win32",
	});
	if (done.status !== 0)
		fail(`npm ci failed (${done.status ?? done.error?.message}). Check the network and the disk, then try again.`);
	const started = spawnSync(pinnedNode(), ["--version"], { encoding: "utf8" });
	if (started.status !== 0)
		fail(
			`The pinned Node does not start: ${(started.stderr || String(started.error)).trim()}\nOn Debian and Ubuntu: apt-get install libatomic1`,
		);
	markInstalled();
}

/** Says that what stands in node_modules is what the lockfile says. */
export function markInstalled() {
	writeFileSync(installStamp, installWanted());
}

function installWanted() {
	return hashFiles(["package.json", "package-lock.json", ...workspaceManifests()]);
}

/** Builds the web UI when its sources are newer than what stands in dist. */
export function buildWeb() {
	const wanted = hashFiles([
		...filesUnder("apps/web"),
		...filesUnder("packages/terminal/src/protocol"),
		...filesUnder("packages/sync/src/protocol"),
		"package-lock.json",
	]);
	if (existsSync(webStamp) && readFileSync(webStamp, "utf8") === wanted) return;
	say("Building the web interface…");
	const done = runNode([join(modules, "vite/bin/vite.js"), "build", "--logLevel", "warn"], {
		cwd: join(root, "apps/web"),
		stdio: ["ignore", 2, 2],
	});
	if (done.status !== 0) fail("The web interface could not be built; the lines above say why.");
	mkdirSync(dirname(webStamp), { recursive: true });
	writeFileSync(webStamp, wanted);
}

/** Bundles the program when its sources are newer. Without a bundle it runs from its sources, and starts slower. */
export function bundleProgram() {
	const wanted = hashFiles([
		...sourceFolders()
			.flatMap((folder) => filesUnder(folder))
			.filter(isSource),
		"scripts/bundle-program.mjs",
		"package-lock.json",
	]);
	if (existsSync(bundleStamp) && readFileSync(bundleStamp, "utf8") === wanted) {
		// A file may have been written again as it was.
		utimesSync(bundleStamp, new Date(), new Date());
		return;
	}
	say("Bundling the program…");
	rmSync(bundleStamp, { force: true });
	const done = runNode([join(root, "scripts/bundle-program.mjs"), dirname(bundleStamp)], { stdio: ["ignore", 2, 2] });
	if (done.status !== 0)
		return say("The program could not be bundled; the lines above say why. It runs from its sources.");
	writeFileSync(bundleStamp, wanted);
}

/** Runs a script with the pinned Node, to its end. */
export function runNode(args, options = {}) {
	return spawnSync(pinnedNode(), args, { cwd: root, stdio: "inherit", env: pinnedEnvironment(), ...options });
}

/** PATH with the pinned Node first, so that every tool's own children run on it too. */
export function pinnedEnvironment() {
	const separator = process.platform === "win32" ? ";" : ":";
	return { ...process.env, PATH: `${join(modules, ".bin")}${separator}${process.env.PATH ?? ""}` };
}

export function say(line) {
	process.stderr.write(`${line}\n`);
}

export function fail(line) {
	say(line);
	process.exit(1);
}

function workspaceManifests() {
	return ["packages", "apps"]
		.flatMap((folder) => readdirSync(join(root, folder)).map((name) => join(folder, name, "package.json")))
		.concat(["bench/package.json", "e2e/package.json"])
		.filter((file) => existsSync(join(root, file)))
		.sort();
}

function filesUnder(folder) {
	const files = [];
	for (const entry of readdirSync(join(root, folder), { withFileTypes: true })) {
		if (entry.name === "dist" || entry.name === "node_modules") continue;
		const path = `${folder}/${entry.name}`;
		if (entry.isDirectory()) files.push(...filesUnder(path));
		else if (statSync(join(root, path)).isFile()) files.push(path);
	}
	return files.sort();
}

function hashFiles(files) {
	const hash = createHash("sha256");
	for (const file of files)
		hash
			.update(`${file}\0`)
			.update(readFileSync(join(root, file)))
			.update("\0");
	return hash.digest("hex");
}
