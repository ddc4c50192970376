import { type ChildProcess, execFile } from "node:child_process";
import { accessSync, constants as fileConstants, statSync } from "node:fs";
import { constants } from "node:os";
import { messageOf } from "@warren/kernel";

export interface RunOptions {
	readonly timeoutMs: number;
	readonly maxOutputBytes?: number;
	readonly env?: Readonly<Record<string, string>>;
	readonly cwd?: string;
	readonly input?: string;
	readonly signal?: AbortSignal;
}

export type RunResult =
	/** What a signal ended has the shell's code for it, 128 and its number; the last line of `stderr` names it. */
	| { readonly outcome: "exited"; readonly code: number; readonly stdout: string; readonly stderr: string }
	/** The program is not installed, or may not be run, or not with these arguments, or not in that folder. */
	| { readonly outcome: "missing" | "denied"; readonly message: string }
	| { readonly outcome: "timeout" | "too-much-output" | "aborted"; readonly message: string };

const maxOutputBytes = 4 * 1024 * 1024;

/** Runs a program to its end, bounded in time and output; never through a shell. Its failures are values. */
export function run(file: string, args: readonly string[], options: RunOptions): Promise<RunResult> {
	const start = (resolve: (result: RunResult) => void) =>
		execFile(
			file,
			[...args],
			{
				timeout: options.timeoutMs,
				killSignal: "SIGKILL",
				maxBuffer: options.maxOutputBytes ?? maxOutputBytes,
				encoding: "utf8",
				windowsHide: true,
				...(options.env === undefined ? {} : { env: { ...options.env } }),
				...(options.cwd === undefined ? {} : { cwd: options.cwd }),
				...(options.signal === undefined ? {} : { signal: options.signal }),
			},
			(fault, stdout, stderr) => {
				if (fault === null) return resolve({ outcome: "exited", code: 0, stdout, stderr });
				const { code, signal } = fault as { code?: number | string | null; signal?: NodeJS.Signals | null };
				if (typeof code === "number") return resolve({ outcome: "exited", code, stdout, stderr });
				const folder = folderFault(options.cwd, code);
				if (folder !== null) return resolve({ outcome: "denied", message: `${file} cannot be run: ${folder}` });
				if (code === "ENOENT") return resolve({ outcome: "missing", message: `${file} is not installed` });
				if (code === "EACCES") return resolve({ outcome: "denied", message: `${file} may not be run by this user` });
				if (code === "ERR_CHILD_PROCESS_STDIO_MAXBUFFER")
					return resolve({ outcome: "too-much-output", message: `${file} printed too much` });
				if (code === "ABORT_ERR") return resolve({ outcome: "aborted", message: `${file} was stopped` });
				if (fault.killed === true)
					return resolve({ outcome: "timeout", message: `${file} did not end within ${options.timeoutMs} ms` });
				const end = signal == null ? fault.message : `${file} was ended by ${signal}`;
				const number = signal == null ? 0 : constants.signals[signal];
				resolve({
					outcome: "exited",
					code: 128 + number,
					stdout,
					stderr: stderr === "" ? end : `${stderr.trimEnd()}\n${end}`,
				});
			},
		);
	return new Promise((resolve) => {
		let child: ChildProcess;
		try {
			child = start(resolve);
		} catch (fault) {
			// Arguments that no program can be given (too long, a NUL in them) are told by a throw.
			resolve({ outcome: "denied", message: `${file} cannot be run: ${messageOf(fault)}` });
			return;
		}
		// A child that ended early breaks the pipe; its exit code tells the story.
		child.stdin?.on("error", () => {});
		child.stdin?.end(options.input ?? "");
	});
}

/** The system says the same of a program and of its folder, whichever is missing or shut. */
function folderFault(folder: string | undefined, code: string | null | undefined): string | null {
	if (folder === undefined || (code !== "ENOENT" && code !== "EACCES" && code !== "ENOTDIR")) return null;
	try {
		if (!statSync(folder).isDirectory()) return `${folder} is no folder`;
		accessSync(folder, fileConstants.X_OK);
		return null;
	} catch (fault) {
		return messageOf(fault);
	}
}
