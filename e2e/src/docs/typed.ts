import { spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";

const bin = join(import.meta.dirname, "../../../node_modules/.bin");

export interface Shell {
	readonly cwd: string;
	readonly env: Readonly<Record<string, string>>;
	/** What it runs through: `["ip", "netns", "exec", NAME]`. */
	readonly through?: readonly string[];
}

/** Types a line into a shell. @returns its status and all that it printed. */
export async function typed(line: string, shell: Shell): Promise<{ code: number | null; text: string }> {
	const running = start(line, shell);
	await running.exited;
	return { code: running.child.exitCode, text: running.text() };
}

/**
 * The same for what runs until it is stopped, which it is at dispose.
 * @throws Error with what it printed when it ends before it has printed that.
 */
export async function served(line: string, says: RegExp, shell: Shell): Promise<{ text: string } & AsyncDisposable> {
	const running = start(line, shell);
	const { child } = running;
	const stop = async () => {
		if (child.exitCode === null && child.signalCode === null) process.kill(-(child.pid as number), "SIGTERM");
		await running.exited;
	};
	while (!says.test(running.text())) {
		if (child.exitCode !== null || child.signalCode !== null)
			throw new Error(`${line} ended with ${child.exitCode}:\n${running.text()}`);
		await Promise.race([once(child, "printed"), running.exited]);
	}
	return { text: running.text(), [Symbol.asyncDispose]: stop };
}

function start(line: string, { cwd, env, through = [] }: Shell) {
	const words = [...through, "sh", "-c", line];
	const child = spawn(words[0] as string, words.slice(1), {
		cwd,
		stdio: ["ignore", "pipe", "pipe"],
		detached: true,
		env: { LANG: "C.UTF-8", SHELL: "/bin/sh", ...env, PATH: `${env["PATH"] ?? ""}${bin}:${process.env["PATH"] ?? ""}` },
	});
	let text = "";
	for (const stream of [child.stdout, child.stderr])
		stream.setEncoding("utf8").on("data", (chunk: string) => {
			text += chunk;
			child.emit("printed");
		});
	return { child, text: () => text, exited: once(child, "close") };
}
