import {
	chmodSync,
	closeSync,
	existsSync,
	fsyncSync,
	mkdirSync,
	openSync,
	readFileSync,
	renameSync,
	rmSync,
	writeFileSync,
} from "node:fs";
import { homedir, platform } from "node:os";
import { dirname, join, resolve } from "node:path";
import { type Closeable, defineErrors } from "@warren/kernel";

export const dataError = defineErrors({
	data_unusable: { status: 500 },
	data_in_use: { status: 500 },
});

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
	readonly #lock: string;

	private constructor(path: string, lock: string) {
		this.path = path;
		this.#lock = lock;
	}

	/** @throws WarrenError `data_unusable`, `data_in_use` (naming the process). */
	static open(path: string): DataFolder {
		const full = resolve(path);
		try {
			mkdirSync(full, { recursive: true, mode: 0o700 });
			chmodSync(full, 0o700);
		} catch (cause) {
			throw dataError("data_unusable", `The data folder ${full} cannot be used: ${(cause as Error).message}.`, {
				fix: "Choose another with --data DIR, or correct its permissions.",
				cause,
			});
		}
		const lock = join(full, "lock");
		claim(lock, full);
		return new DataFolder(full, lock);
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
		const path = this.file(...parts);
		const draft = `${path}.new`;
		const handle = openSync(draft, "w", 0o600);
		try {
			writeFileSync(handle, text);
			fsyncSync(handle);
		} finally {
			closeSync(handle);
		}
		renameSync(draft, path);
	}

	close(): void {
		rmSync(this.#lock, { force: true });
	}
}

/** A lock of a process that is gone is taken over. */
function claim(lock: string, folder: string): void {
	for (let attempt = 0; attempt < 2; attempt++) {
		try {
			writeFileSync(lock, `${process.pid}\n`, { flag: "wx", mode: 0o600 });
			return;
		} catch (cause) {
			if ((cause as NodeJS.ErrnoException).code !== "EEXIST") {
				throw dataError("data_unusable", `The data folder ${folder} cannot be written: ${(cause as Error).message}.`, {
					fix: "Free disk space, or correct its permissions.",
					cause,
				});
			}
		}
		const holder = Number(readFileSync(lock, "utf8").trim());
		if (Number.isInteger(holder) && holder > 0 && holder !== process.pid && isRunning(holder)) {
			throw dataError("data_in_use", `The data folder ${folder} is in use by process ${holder}.`, {
				fix: "Stop that one, or choose another folder with --data DIR.",
			});
		}
		rmSync(lock, { force: true });
	}
	throw dataError("data_in_use", `The data folder ${folder} is being claimed by another process.`, {
		fix: "Try again.",
	});
}

function isRunning(pid: number): boolean {
	try {
		process.kill(pid, 0);
		return true;
	} catch (fault) {
		return (fault as NodeJS.ErrnoException).code === "EPERM";
	}
}
