import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { commandEnvironment } from "./command-environment.ts";

/** A `warren` server as its own process. */
export interface StartedServer extends AsyncDisposable {
	/** Its one JSON line. */
	readonly ready: Readonly<Record<string, unknown>>;
	readonly pid: number;
	/** Everything that it wrote to standard error. */
	log(): string;
	/** Resolves with the exit code when the process is gone. */
	kill(signal: NodeJS.Signals): Promise<number | null>;
}

const main = fileURLToPath(new URL("../../../apps/warren/src/main.js", import.meta.url));
/** A watchdog, not a measure: a busy machine takes a minute to start a process. */
const readyTimeoutMs = 90_000;

/**
 * Starts `warren ARGS --json` and waits for its line.
 * @throws Error with what the process wrote when it does not come up.
 */
export async function startServer(
	args: readonly string[],
	environment: Readonly<Record<string, string>> = {},
): Promise<StartedServer> {
	const child = spawn(process.execPath, [main, ...args, "--json"], {
		stdio: ["ignore", "pipe", "pipe"],
		env: commandEnvironment(process.env["HOME"] ?? "/", { LANG: "C.UTF-8", ...environment }),
	});
	let log = "";
	child.stderr.setEncoding("utf8").on("data", (text: string) => {
		log = (log + text).slice(-200_000);
	});
	const exited = new Promise<number | null>((resolve) => child.once("exit", (code) => resolve(code)));
	const kill = (signal: NodeJS.Signals) => {
		if (child.exitCode === null && child.signalCode === null) child.kill(signal);
		return exited;
	};
	const line = await new Promise<string>((resolve, reject) => {
		const late = setTimeout(
			() => reject(new Error(`not ready after ${readyTimeoutMs / 1000} s:\n${log}`)),
			readyTimeoutMs,
		);
		createInterface({ input: child.stdout }).once("line", (text) => {
			clearTimeout(late);
			resolve(text);
		});
		void exited.then((code) => {
			clearTimeout(late);
			reject(new Error(`ended with ${code} before it was ready:\n${log}`));
		});
	}).catch(async (failure: unknown) => {
		await kill("SIGKILL");
		throw failure;
	});
	return {
		ready: JSON.parse(line) as Record<string, unknown>,
		pid: child.pid as number,
		log: () => log,
		kill,
		async [Symbol.asyncDispose]() {
			await kill("SIGKILL");
		},
	};
}
