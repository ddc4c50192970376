import { chmodSync, existsSync, mkdirSync, readdirSync, readFileSync, statSync, writeFileSync } from "node:fs";
import { homedir, platform } from "node:os";
import { dirname, join, resolve } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { type Closeable, defineErrors } from "@warren/kernel";
import { writeWhole } from "./write-whole.ts";

export const dataError = defineErrors({
	data_unusable: { status: 500 },
	data_in_use: { status: 500 },
});

/** https://sqlite.org/rescode.html#busy */
const sqliteBusy = 5;

/** Where state goes without `--data`: the platform's own place. */
export function defaultDataFolder(environment: Readonly<Record<string, string | undefined>>): string {
	switch (platform()) {
		case "darwin":
			return join(homedir(), "Library", "Application Support", "Warren");
		case "win32":
			return join(environment["LOCALAPPDATA"] ?? join(homedir(), "AppData", "Local"), "Warren");
		default:
			return join(environment["XDG_STATE_HOME"] ?? join(homedir(), ".local", "state"), "warren");
	}
}

/** One installation's state. Its folder is 0700, each secret in it 0600; one process at a time. */
export class DataFolder implements Closeable {
	readonly path: string;
	readonly #lock: DatabaseSync;

	private constructor(path: string, lock: DatabaseSync) {
		this.path = path;
		this.#lock = lock;
	}

	/** @throws WarrenError `data_unusable`, `data_in_use` (naming the process). */
	static open(path: string): DataFolder {
		const full = resolve(path);
		try {
			makeFolder(full);
			if (!statSync(full).isDirectory()) throw new Error("it is a file");
			// `--data /tmp` must not close that to everybody else.
			if (readdirSync(full).length === 0) chmodSync(full, 0o700);
		} catch (cause) {
			throw dataError("data_unusable", `The data folder ${full} cannot be used: ${(cause as Error).message}.`, {
				fix: "Choose another with --data DIR, or correct its permissions.",
				cause,
			});
		}
		return new DataFolder(full, claim(full));
	}

	file(...parts: string[]): string {
		const path = join(this.path, ...parts);
		mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
		return path;
	}

	/** @returns null when there is no such file. */
	read(...parts: string[]): string | null {
		const path = join(this.path, ...parts);
		return existsSync(path) ? readFileSync(path, "utf8") : null;
	}

	/** Whole or not at all, and on disk when this returns. */
	write(text: string, ...parts: string[]): void {
		writeWhole(this.file(...parts), text);
	}

	close(): void {
		if (this.#lock.isOpen) this.#lock.close();
	}
}

/** Step by step: Node's own recursion never ends where a system refuses with ENOENT, as below /proc. */
export function makeFolder(path: string): void {
	if (existsSync(path)) return;
	if (dirname(path) !== path) makeFolder(dirname(path));
	try {
		mkdirSync(path, { mode: 0o700 });
	} catch (fault) {
		// Another process was faster.
		if ((fault as NodeJS.ErrnoException).code !== "EEXIST") throw fault;
	}
}

/**
 * The system's own lock on a file, through SQLite: Node has no call for it. It goes with its process, however that ends;
 * a process number in a file would outlive a power cut, and name some other program after it.
 */
function claim(folder: string): DatabaseSync {
	const file = join(folder, "lock");
	const holder = join(folder, "lock.pid");
	let lock: DatabaseSync | undefined;
	try {
		lock = new DatabaseSync(file);
		lock.exec("PRAGMA busy_timeout = 0; BEGIN EXCLUSIVE");
		chmodSync(file, 0o600);
		writeFileSync(holder, `${process.pid}\n`, { mode: 0o600 });
		return lock;
	} catch (cause) {
		lock?.close();
		if ((cause as { errcode?: number }).errcode === sqliteBusy) {
			const pid = existsSync(holder) ? readFileSync(holder, "utf8").trim() : "";
			throw dataError(
				"data_in_use",
				`The data folder ${folder} is in use by ${/^\d+$/.test(pid) ? `process ${pid}` : "another process"}.`,
				{
					fix: "Stop that one, or choose another folder with --data DIR.",
				},
			);
		}
		throw dataError("data_unusable", `The data folder ${folder} cannot be written: ${(cause as Error).message}.`, {
			fix: "Free disk space, or correct its permissions.",
			cause,
		});
	}
}
