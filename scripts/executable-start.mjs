// What the single executable runs: unpacks the program at its first start, then starts it. See build-executable.mjs.
import { existsSync, mkdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import module from "node:module";
import { homedir } from "node:os";
import { dirname, join } from "node:path";
import { getAsset, getRawAsset } from "node:sea";
import { gunzipSync } from "node:zlib";

const cache = process.env.XDG_CACHE_HOME ?? join(homedir(), ".cache");
const folder = join(cache, "warren", `program-${getAsset("id", "utf8")}`);
if (!existsSync(folder)) unpack();
process.argv.splice(1, 1, join(folder, "apps/warren/src/main.js"));
module.runMain();

/** Whole or not at all: two that start at once do it both, and one of them comes first. */
function unpack() {
	const draft = `${folder}.${process.pid}`;
	const bytes = gunzipSync(Buffer.from(getRawAsset("payload")));
	let at = bytes.indexOf(0x0a) + 1;
	for (const [path, length] of JSON.parse(bytes.subarray(0, at).toString())) {
		const file = join(draft, path);
		mkdirSync(dirname(file), { recursive: true, mode: 0o700 });
		writeFileSync(file, bytes.subarray(at, at + length), { mode: 0o600 });
		at += length;
	}
	try {
		renameSync(draft, folder);
	} catch (fault) {
		rmSync(draft, { recursive: true, force: true });
		if (!existsSync(folder)) throw fault;
	}
}
