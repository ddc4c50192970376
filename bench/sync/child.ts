import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";

/** A process of the bench that answers one question at a time. */
export class Child {
	readonly #process: ChildProcess;

	constructor(file: string, env: Readonly<Record<string, string>>) {
		this.#process = fork(file, [], {
			env: { ...process.env, ...env, NODE_NO_WARNINGS: "1" },
			execArgv: ["--expose-gc"],
			stdio: ["ignore", "ignore", "inherit", "ipc"],
		});
	}

	async ask<T>(question: unknown, answer = question as string): Promise<T> {
		this.#process.send(question as object);
		return this.answer<T>(answer);
	}

	/** @throws Error when the process ends instead. */
	answer<T>(answer: string): Promise<T> {
		return new Promise((resolve, reject) => {
			const onMessage = (message: unknown) => {
				const { answer: given, value } = message as { answer: string; value: T };
				if (given !== answer) return;
				done();
				resolve(value);
			};
			const onExit = (code: number | null) => {
				done();
				reject(new Error(`a bench process ended with code ${code} instead of answering "${answer}"`));
			};
			const done = () => {
				this.#process.off("message", onMessage);
				this.#process.off("exit", onExit);
			};
			this.#process.on("message", onMessage);
			this.#process.on("exit", onExit);
		});
	}

	async kill(): Promise<void> {
		if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
		const exited = once(this.#process, "exit");
		this.#process.kill("SIGKILL");
		await exited;
	}
}
