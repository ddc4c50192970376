import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";

/** A script in a machine's namespace, by the lines that it writes. */
export class ScriptLines implements Disposable {
	readonly #child: ChildProcess;
	readonly #waiting: PromiseWithResolvers<string>[] = [];
	#lines: string[] = [];
	#ended: string | null = null;

	/** @param through what it is run through, `ip netns exec …`. */
	constructor(through: readonly string[], script: string) {
		const [program, ...rest] = [...through, process.execPath, "-e", script];
		this.#child = spawn(program as string, rest, { stdio: ["ignore", "pipe", "pipe"] });
		let faults = "";
		this.#child.stderr?.setEncoding("utf8").on("data", (text: string) => {
			faults = (faults + text).slice(-4_000);
		});
		createInterface({ input: this.#child.stdout as NodeJS.ReadableStream }).on("line", (line) => {
			const next = this.#waiting.shift();
			if (next === undefined) this.#lines.push(line);
			else next.resolve(line);
		});
		this.#child.once("close", (code) => {
			this.#ended = `the script ended with ${code}: ${faults}`;
			for (const each of this.#waiting.splice(0)) each.reject(new Error(this.#ended));
		});
	}

	/** What was written so far does not count. */
	skip(): void {
		this.#lines = [];
	}

	/** @throws Error when the script ended. */
	next(): Promise<string> {
		const line = this.#lines.shift();
		if (line !== undefined) return Promise.resolve(line);
		if (this.#ended !== null) return Promise.reject(new Error(this.#ended));
		const waiter = Promise.withResolvers<string>();
		this.#waiting.push(waiter);
		return waiter.promise;
	}

	[Symbol.dispose](): void {
		this.#child.kill("SIGKILL");
	}
}
