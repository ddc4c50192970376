import { spawn } from "node:child_process";
import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { commandEnvironment } from "./command-environment.ts";
import { tempFolder } from "./temp-folder.ts";

export interface StartCommandOptions {
	/** HOME, with the data folder in it; kept after the end. A fresh one, removed at dispose, unless told. */
	readonly home?: string;
	readonly env?: Readonly<Record<string, string>>;
}

/** A `warren` command as its own process. */
export interface StartedCommand extends AsyncDisposable {
	readonly pid: number;
	readonly home: string;
	readonly data: string;
	/** The next line of standard output, as JSON. @throws Error with what it wrote when it ends before. */
	line<T>(): Promise<T>;
	/** Everything that it wrote to standard error. */
	log(): string;
	readonly exited: Promise<number | null>;
	/** Resolves when the process is gone. */
	kill(signal: NodeJS.Signals): Promise<number | null>;
}

const main = fileURLToPath(new URL("../../../apps/warren/src/main.js", import.meta.url));
/** A watchdog, not a measure: a busy machine takes a minute to start a process. */
const lineTimeoutMs = 90_000;

/** Starts `warren ARGS --data HOME/data` with an environment of its own. */
export function startCommand(args: readonly string[], options: StartCommandOptions = {}): StartedCommand {
	const folder = options.home === undefined ? tempFolder("command") : null;
	const home = options.home ?? (folder?.path as string);
	const data = join(home, "data");
	mkdirSync(home, { recursive: true, mode: 0o700 });
	const child = spawn(process.execPath, [main, ...args, "--data", data], {
		stdio: ["ignore", "pipe", "pipe"],
		env: commandEnvironment(home, {
			LANG: "C.UTF-8",
			TMPDIR: process.env["TMPDIR"] ?? "/tmp",
			XDG_STATE_HOME: join(home, "state"),
			XDG_CONFIG_HOME: join(home, "config"),
			XDG_RUNTIME_DIR: join(home, "run"),
			...options.env,
		}),
	});
	let log = "";
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		log = (log + text).slice(-200_000);
	});
	const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
	const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
	const kill = (signal: NodeJS.Signals) => {
		if (child.exitCode === null && child.signalCode === null) child.kill(signal);
		return exited;
	};
	return {
		pid: child.pid ?? 0,
		home,
		data,
		exited,
		kill,
		log: () => log,
		async line<T>() {
			let late: NodeJS.Timeout | undefined;
			const tooLate = new Promise<never>((_, reject) => {
				late = setTimeout(
					() => reject(new Error(`warren ${args[0]} said nothing for ${lineTimeoutMs / 1000} s:\n${log}`)),
					lineTimeoutMs,
				);
			});
			try {
				const { value, done } = await Promise.race([lines.next(), tooLate]);
				if (done === true)
					throw new Error(`warren ${args[0]} ended with ${await Promise.race([exited, tooLate])}:\n${log}`);
				return JSON.parse(value) as T;
			} finally {
				clearTimeout(late);
			}
		},
		async [Symbol.asyncDispose]() {
			await kill("SIGTERM");
			folder?.[Symbol.dispose]();
		},
	};
}
