import { closeSync, fsyncSync, openSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";

/** A file of mode 0600: whole or not at all, and on disk when this returns. */
export function writeWhole(path: string, text: string): void {
	const draft = `${path}.new`;
	const handle = openSync(draft, "w", 0o600);
	try {
		writeFileSync(handle, text);
		fsyncSync(handle);
	} finally {
		closeSync(handle);
	}
	renameSync(draft, path);
	syncFolder(dirname(path));
}

/** So that a name given in it survives a power cut, too. The file is written: what cannot be had here is no fault. */
function syncFolder(path: string): void {
	let handle: number | undefined;
	try {
		handle = openSync(path, "r");
		fsyncSync(handle);
	} catch {
		// Windows opens no folders, and does so by itself; some file systems know no such call.
	} finally {
		if (handle !== undefined) closeSync(handle);
	}
}
