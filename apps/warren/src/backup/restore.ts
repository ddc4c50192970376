import {
	chmodSync,
	existsSync,
	mkdirSync,
	mkdtempSync,
	readdirSync,
	readFileSync,
	renameSync,
	rmSync,
	statSync,
} from "node:fs";
import { dirname, join, resolve } from "node:path";
import { defineErrors } from "@warren/kernel";
import { extract } from "tar";
import { DataFolder } from "../config/data-folder.ts";
import { type Manifest, manifestName, manifestSchema, sha256Of } from "./manifest.ts";

const restoreError = defineErrors({
	no_file: { status: 404 },
	bad_backup: { status: 400 },
	data_exists: { status: 409 },
});

/**
 * Makes a data folder of a backup. Everything is read and checked before anything is changed; a folder that was there is
 * kept beside it when it is replaced.
 * @returns what was in it, and where the former folder lies now.
 * @throws WarrenError `no_file`, `bad_backup`, `data_exists`, `data_in_use`.
 */
export async function restore(
	file: string,
	dataPath: string,
	options: { readonly replace: boolean; readonly now: number },
): Promise<{ readonly manifest: Manifest; readonly former: string | null }> {
	if (!existsSync(file))
		throw restoreError("no_file", `There is no file ${resolve(file)}.`, { fix: "Check its name." });
	const occupied = existsSync(dataPath) && readdirSync(dataPath).length > 0;
	if (occupied && !options.replace) {
		throw restoreError("data_exists", `${dataPath} holds data already.`, {
			fix: "Choose another folder with --data DIR, or replace it with --force: the former one is kept beside it.",
		});
	}
	// Refuses while a process runs on it.
	if (occupied) DataFolder.open(dataPath).close();
	mkdirSync(dirname(dataPath), { recursive: true, mode: 0o700 });
	const draft = mkdtempSync(`${dataPath}.restoring-`);
	try {
		const manifest = await unpack(file, draft);
		const former = occupied ? `${dataPath}.before-${new Date(options.now).toISOString().replace(/[:.]/g, "-")}` : null;
		if (former !== null) renameSync(dataPath, former);
		else rmSync(dataPath, { recursive: true, force: true });
		renameSync(draft, dataPath);
		return { manifest, former };
	} finally {
		rmSync(draft, { recursive: true, force: true });
	}
}

async function unpack(file: string, folder: string): Promise<Manifest> {
	const bad = (why: string, cause?: unknown) =>
		restoreError("bad_backup", `${resolve(file)} is no whole backup: ${why}.`, {
			fix: "Use another one. Nothing was changed.",
			...(cause === undefined ? {} : { cause }),
		});
	try {
		await extract({
			file,
			cwd: folder,
			strict: true,
			filter: (_path, entry) => "type" in entry && entry.type === "File",
		});
	} catch (cause) {
		throw bad((cause as Error).message, cause);
	}
	const path = join(folder, manifestName);
	if (!existsSync(path)) throw bad("it has no list of its files");
	const parsed = manifestSchema.safeParse(parseJson(readFileSync(path, "utf8")));
	if (!parsed.success) throw bad("its list of files cannot be read, or is of a newer version");
	for (const { path: name, bytes, sha256 } of parsed.data.files) {
		const each = join(folder, name);
		if (!existsSync(each)) throw bad(`${name} is missing`);
		if (statSync(each).size !== bytes || (await sha256Of(each)) !== sha256) throw bad(`${name} is damaged`);
		chmodSync(each, 0o600);
	}
	rmSync(path);
	chmodSync(folder, 0o700);
	return parsed.data;
}

function parseJson(text: string): unknown {
	try {
		return JSON.parse(text);
	} catch {
		return null;
	}
}
