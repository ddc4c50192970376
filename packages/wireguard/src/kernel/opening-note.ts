import { closeSync, fsyncSync, openSync, readFileSync, renameSync, rmSync, writeSync } from "node:fs";
import { release } from "node:os";
import { dirname } from "node:path";

/** Of an opening that nobody saw the end of. */
export interface EarlierOpening {
	readonly pid: number;
	/** Of the boot of this machine that it was in; empty = not known. */
	readonly bootId: string;
	/** Wall clock, ms. */
	readonly at: number;
	/** What was running: another kernel, or another version of this program, may do better. */
	readonly kernel: string;
	readonly software: string;
}

export interface OpeningNoteOptions {
	readonly file: string;
	/** This program and its version. */
	readonly software: string;
}

/**
 * A note on disk that the kernel's data plane is being opened: there before it begins, gone once it has answered or was
 * refused. Who finds one knows that a process ended in between, and takes another plane.
 */
export class OpeningNote {
	readonly #file: string;
	readonly #software: string;

	constructor({ file, software }: OpeningNoteOptions) {
		this.#file = file;
		this.#software = software;
	}

	/** What ended an earlier start of this very software on this very kernel; null = nothing that is known. */
	read(): EarlierOpening | null {
		let text: string;
		try {
			text = readFileSync(this.#file, "utf8");
		} catch (failure) {
			if ((failure as NodeJS.ErrnoException).code === "ENOENT") return null;
			throw failure;
		}
		const match = /^kernel-opening (\d{1,10}) (\S{1,64}) (\d{1,15})\nkernel (.{1,200})\nsoftware (.{1,200})\n$/.exec(
			text,
		);
		// Not ours, or cut: the next opening writes it anew.
		if (match === null) return null;
		const [, pid = "", bootId = "", at = "", kernel = "", software = ""] = match;
		if (kernel !== release() || software !== this.#software) return null;
		return { pid: Number(pid), bootId: bootId === "-" ? "" : bootId, at: Number(at), kernel, software };
	}

	/** On disk when this returns, its folder's entry as well. @throws Error of the system: a full disk, a folder that is not there. */
	write(now: number): void {
		const next = `${this.#file}.next`;
		const file = openSync(next, "w", 0o600);
		try {
			writeSync(
				file,
				`kernel-opening ${process.pid} ${bootId() || "-"} ${Math.floor(now)}\nkernel ${release()}\nsoftware ${this.#software}\n`,
			);
			fsyncSync(file);
		} finally {
			closeSync(file);
		}
		renameSync(next, this.#file);
		const folder = openSync(dirname(this.#file), "r");
		try {
			fsyncSync(folder);
		} finally {
			closeSync(folder);
		}
	}

	remove(): void {
		rmSync(this.#file, { force: true });
	}
}

function bootId(): string {
	try {
		return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
	} catch {
		// A sandbox without it: the time says enough.
		return "";
	}
}

/** For people, when and in which process; `file` is where its note is. */
export function describeOpening({ pid, bootId: boot, at }: EarlierOpening): string {
	const where = boot !== "" && boot === bootId() ? "" : ", before this machine was started last";
	return `process ${pid} ended while it opened it, ${new Date(at).toISOString()}${where}`;
}
