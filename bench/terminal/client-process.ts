import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import type { Answer, ClientTarget, Task } from "./tasks.ts";

/** The client process, seen from the bench. */
export class ClientProcess {
	readonly #child: ChildProcess;

	private constructor(child: ChildProcess) {
		this.#child = child;
	}

	static async open(target: ClientTarget): Promise<ClientProcess> {
		const child = fork(fileURLToPath(new URL("client.ts", import.meta.url)), [JSON.stringify(target)], {
			stdio: ["ignore", "ignore", "inherit", "ipc"],
		});
		const client = new ClientProcess(child);
		await client.#next();
		return client;
	}

	async ask<T extends Task>(task: T): Promise<Exclude<Answer, { failed: string } | { ready: true }>> {
		const answer = this.#next();
		this.#child.send(task);
		return answer as Promise<Exclude<Answer, { failed: string } | { ready: true }>>;
	}

	async close(): Promise<void> {
		if (this.#child.exitCode !== null || this.#child.signalCode !== null) return;
		const ended = new Promise<void>((resolve) => this.#child.once("exit", () => resolve()));
		this.#child.kill("SIGKILL");
		await ended;
	}

	#next(): Promise<Answer> {
		return new Promise((resolve, reject) => {
			const settle = (act: () => void) => {
				this.#child.off("message", heard);
				this.#child.off("exit", ended);
				act();
			};
			const heard = (answer: Answer) =>
				settle(() => ("failed" in answer ? reject(new Error(answer.failed)) : resolve(answer)));
			const ended = () => settle(() => reject(new Error("the client process ended")));
			this.#child.on("message", heard);
			this.#child.once("exit", ended);
		});
	}
}
