// The program in a few files, as set-up writes it: it starts in half the time of its two thousand modules and takes three
// quarters of their memory. JavaScript: it is asked before anything else is loaded.
import { readdirSync, statSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

/** Beside src, and flat: what names a file by its URL finds it from either. */
export const bundleUrl = new URL("../dist/program.js", import.meta.url);
/** Written last, with what it was built from. */
export const bundleStamp = fileURLToPath(new URL("../dist/.built-from", import.meta.url));
const root = fileURLToPath(new URL("../../..", import.meta.url));

/** Whether a file of a source folder is part of the program. */
export function isSource(name) {
	return /\.(ts|js)$/.test(name) && !/\.(test|testing)\.ts$/.test(name);
}

/** The folders that the program is built from, below the top of the checkout. */
export function sourceFolders() {
	return ["apps/warren/src", ...readdirSync(join(root, "packages")).map((name) => join("packages", name, "src"))];
}

/** Whether it is there, and nothing that it was built from has changed since: who edits a source runs that source. */
export function bundleIsFresh() {
	const built = changedAt(bundleStamp);
	if (built === 0) return false;
	// The single executable holds no sources.
	if (changedAt(join(root, "packages")) === 0) return true;
	return (
		changedAt(join(root, "package-lock.json")) <= built &&
		sourceFolders().every((folder) => !isNewer(join(root, folder), built))
	);
}

function isNewer(folder, time) {
	// A file that was taken away changes its folder alone.
	if (changedAt(folder) > time) return true;
	if (changedAt(folder) === 0) return false;
	return readdirSync(folder).some((name) => {
		const path = `${folder}/${name}`;
		return name.includes(".") ? isSource(name) && changedAt(path) > time : isNewer(path, time);
	});
}

/** ms since 1970; 0 = there is no such file. */
function changedAt(path) {
	return statSync(path, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}
