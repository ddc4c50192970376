import { copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync } from "node:fs";
import { open, rename, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { dirname, join, relative, resolve, sep } from "node:path";
import { backup as copyDatabase, DatabaseSync } from "node:sqlite";
import { defineErrors } from "@warren/kernel";
import { create } from "tar";
import { version } from "../version.ts";
import { type Manifest, manifestName, sha256Of } from "./manifest.ts";

const backupError = defineErrors({
	no_data: { status: 404 },
	file_exists: { status: 409 },
	backup_failed: { status: 500 },
});

/** What belongs to a running process, not to the installation. */
const passing = new Set(["lock", "lock.pid", "lock-journal", "console.json", "logs"]);
const passingEnds = [".sock", ".new", "-wal", "-shm", "-journal"];

/**
 * Writes the whole data folder into one file, 0600, while its processes may run: each database as of one instant, whole
 * or not at all. It holds every secret of the machine.
 * @throws WarrenError `no_data`, `file_exists`, `backup_failed` (disk).
 */
export async function backUp(
	dataPath: string,
	file: string,
	options: { readonly replace: boolean },
): Promise<Manifest> {
	const target = resolve(file);
	if (!existsSync(join(dataPath, "node.db")) && !existsSync(join(dataPath, "hub.db"))) {
		throw backupError("no_data", `${dataPath} is no data folder of Warren.`, { fix: "Name it with --data DIR." });
	}
	if (existsSync(target) && !options.replace) {
		throw backupError("file_exists", `${target} exists.`, { fix: "Choose another name, or replace it with --force." });
	}
	const draft = `${target}.partial`;
	const folder = dirname(target);
	if (!existsSync(folder)) {
		throw backupError("backup_failed", `There is no folder ${folder}.`, { fix: "Make it, or choose another place." });
	}
	let staging: string | undefined;
	try {
		staging = mkdtempSync(`${target}.staging-`);
		const copies = staging;
		const files: Manifest["files"] = [];
		for (const path of filesOf(dataPath)) {
			const copy = join(copies, path);
			mkdirSync(dirname(copy), { recursive: true, mode: 0o700 });
			await copyOf(join(dataPath, path), copy);
			files.push({ path, bytes: statSync(copy).size, sha256: await sha256Of(copy) });
		}
		const manifest: Manifest = { format: 1, version, createdAt: Date.now(), host: hostname(), files };
		await writeFile(join(copies, manifestName), JSON.stringify(manifest), { mode: 0o600 });
		await writeFile(draft, "", { mode: 0o600 });
		await create({ cwd: copies, file: draft, gzip: true, portable: true }, [
			manifestName,
			...files.map((each) => each.path),
		]);
		const written = await open(draft, "r+");
		await written.sync();
		await written.close();
		await rename(draft, target);
		return manifest;
	} catch (cause) {
		throw backupError("backup_failed", `${target} could not be written: ${(cause as Error).message}.`, {
			fix: "Free disk space, or choose another place. Nothing was left behind.",
			cause,
		});
	} finally {
		if (staging !== undefined) rmSync(staging, { recursive: true, force: true });
		rmSync(draft, { force: true });
	}
}

function filesOf(folder: string): string[] {
	return readdirSync(folder, { recursive: true, withFileTypes: true })
		.filter((entry) => entry.isFile())
		.map((entry) => relative(folder, join(entry.parentPath, entry.name)).split(sep).join("/"))
		.filter((path) => !passing.has(path.split("/")[0] as string) && !passing.has(path.split("/").at(-1) as string))
		.filter((path) => !passingEnds.some((end) => path.endsWith(end)))
		.sort();
}

async function copyOf(from: string, to: string): Promise<void> {
	if (!from.endsWith(".db")) {
		copyFileSync(from, to);
		return;
	}
	const database = new DatabaseSync(from, { readOnly: true, timeout: 10_000 });
	try {
		await copyDatabase(database, to);
	} finally {
		database.close();
	}
}
