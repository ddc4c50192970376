import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { type Clock, type Closeable, type Random, WarrenError } from "@warren/kernel";
import { ownProcess } from "../own-command.ts";
import { LogFile, logPath } from "./log-file.ts";
import type { FromProcess, ToProcess } from "./messages.ts";
import { type Launched, type LaunchHandlers, SupervisedProcess } from "./supervised-process.ts";

/** One of a machine's processes, drawn along lines of trust. */
export type ProcessName = "private" | "edge" | "joiner";

type Ready = Extract<FromProcess, { type: "ready" }>;

export interface SupervisorDeps {
	readonly clock: Clock;
	readonly random: Random;
}

export interface SupervisorOptions {
	readonly data: string;
	/** Flags of each process, asked at every start: a port that was chosen once stays. */
	readonly flags: (name: ProcessName) => readonly string[];
	/** Those that run beside the private one, once it is ready. */
	readonly beside: readonly Exclude<ProcessName, "private">[];
	/** The private process is ready: the first time, and after each restart. */
	readonly onReady: (ready: Ready) => void;
	/** A secret of one of them, for the terminal. */
	readonly onNotice: (notice: string) => void;
}

/**
 * A machine's processes. The private one comes first, because it makes what the others need (data folder, certificates);
 * after that each lives and dies alone.
 */
export class Supervisor implements Closeable {
	readonly #deps: SupervisorDeps;
	readonly #options: SupervisorOptions;
	readonly #processes: SupervisedProcess[] = [];
	readonly #channels = new Map<ProcessName, ChildProcess>();
	readonly #log: LogFile;
	#closed = false;

	private constructor(deps: SupervisorDeps, options: SupervisorOptions) {
		this.#deps = deps;
		this.#options = options;
		this.#log = new LogFile(logPath(options.data));
	}

	/** @throws WarrenError as the private process gave it, when it cannot start at all. */
	static async start(deps: SupervisorDeps, options: SupervisorOptions): Promise<Supervisor> {
		const supervisor = new Supervisor(deps, options);
		try {
			await supervisor.#startPrivate();
		} catch (failure) {
			await supervisor.close();
			throw failure;
		}
		supervisor.#startBeside(options.beside);
		return supervisor;
	}

	async close(): Promise<void> {
		this.#closed = true;
		for (const process of [...this.#processes].reverse()) await process.stop();
		this.#log.close();
	}

	/** The first failure is the caller's to tell; a later one is retried like any other. */
	#startPrivate(): Promise<void> {
		return new Promise((resolve, reject) => {
			let settled = false;
			const first = this.#supervise(
				"private",
				(message) => {
					settled = true;
					resolve();
					this.#options.onReady(message);
				},
				(failure) => {
					if (!settled) reject(failure);
					settled = true;
				},
			);
			first.start();
		});
	}

	/** One after the other, as each asks those before it; one that fails holds nobody up. */
	#startBeside([name, ...others]: readonly ProcessName[]): void {
		if (name === undefined || this.#closed) return;
		let isFirst = true;
		const next = () => {
			if (isFirst) this.#startBeside(others);
			isFirst = false;
		};
		this.#supervise(name, next, next).start();
	}

	#supervise(
		name: ProcessName,
		onReady: (message: Ready) => void,
		onFailed: (failure: WarrenError) => void = () => {},
	): SupervisedProcess {
		const process = new SupervisedProcess(name, {
			clock: this.#deps.clock,
			random: this.#deps.random,
			onReady,
			onChange: () => this.#publish(),
			launch: (handlers) =>
				this.#launch(name, {
					...handlers,
					message: (message) => {
						handlers.message(message);
						if (message.type === "notice") this.#options.onNotice(message.notice);
						if (message.type === "failed")
							onFailed(new WarrenError(message.code, message.message, { status: 500, fix: message.fix }));
					},
					ended: (how) => {
						handlers.ended(how);
						onFailed(new WarrenError("process_ended", `The ${name} process did not start: ${how}.`, { status: 500 }));
					},
				}),
		});
		this.#processes.push(process);
		return process;
	}

	#launch(name: ProcessName, handlers: LaunchHandlers): Launched {
		const [program, ...before] = ownProcess;
		const child = spawn(program, [...before, "process", name, ...this.#options.flags(name)], {
			stdio: ["ignore", "inherit", "pipe", "ipc"],
		});
		this.#channels.set(name, child);
		this.#write(name, `started as process ${child.pid}`);
		child.on("message", (message) => handlers.message(message as FromProcess));
		let failedToSpawn: string | null = null;
		child.once("error", (fault) => {
			failedToSpawn = fault.message;
			if (child.pid === undefined) handlers.ended(fault.message);
		});
		child.once("exit", (code, signal) => {
			if (this.#channels.get(name) === child) this.#channels.delete(name);
			const how = failedToSpawn ?? (signal === null ? `it ended with ${code}` : `it ended by ${signal}`);
			this.#write(name, how);
			handlers.ended(how);
		});
		const lines = createInterface({ input: child.stderr as NodeJS.ReadableStream });
		lines.on("line", (line) => {
			globalThis.process.stderr.write(`${line}\n`);
			this.#write(name, line);
		});
		return { pid: child.pid ?? null, signal: (signal) => void child.kill(signal) };
	}

	#write(name: ProcessName, line: string): void {
		this.#log.write(`${new Date(this.#deps.clock.now()).toISOString()} ${name} ${line}\n`);
	}

	#publish(): void {
		const message: ToProcess = { type: "processes", processes: this.#processes.map((process) => process.row) };
		// A process that is just ending hears no more.
		for (const channel of this.#channels.values()) if (channel.connected) channel.send(message, () => {});
	}
}
