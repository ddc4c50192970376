import { closeSync, existsSync, fstatSync, openSync, renameSync, writeSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeFolder } from "../config/data-folder.ts";

/** Largest size of one log file, bytes; the one before it is kept beside it. */
const maxBytes = 8 * 1024 * 1024;

/** Lines on disk, in two files of bounded size: PATH and PATH.1, the older one. A full disk loses lines, nothing else. */
export class LogFile {
	readonly #path: string;
	#file: number | null = null;
	#bytes = 0;

	constructor(path: string) {
		this.#path = path;
	}

	write(line: string): void {
		try {
			const bytes = Buffer.from(line);
			if (this.#file === null) this.#open();
			if (this.#bytes + bytes.length > maxBytes) this.#rotate();
			this.#bytes += writeSync(this.#file as number, bytes);
		} catch {
			// The lines went to standard error, too.
		}
	}

	close(): void {
		if (this.#file !== null) closeSync(this.#file);
		this.#file = null;
	}

	#open(): void {
		makeFolder(dirname(this.#path));
		this.#file = openSync(this.#path, "a", 0o600);
		this.#bytes = fstatSync(this.#file).size;
	}

	#rotate(): void {
		this.close();
		if (existsSync(this.#path)) renameSync(this.#path, `${this.#path}.1`);
		this.#open();
	}
}

/** What the processes of a data folder wrote: `warren logs` reads it. */
export function logPath(data: string): string {
	return join(data, "logs", "warren.log");
}
