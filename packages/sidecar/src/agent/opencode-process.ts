import { type ChildProcess, type ChildProcessByStdio, spawn } from "node:child_process";
import type { Readable } from "node:stream";
import { Backoff, type Clock, type Closeable, type Logger, type Random, type Timer } from "@warren/kernel";

export const processLimits = {
	readyMs: 60_000,
	stopMs: 5_000,
	/** Waits between restarts; one that lived this long begins anew. */
	backoff: { firstMs: 500, maxMs: 60_000 },
	livedMs: 60_000,
	maxLogBytes: 64 * 1024,
} as const;

export type ProcessState =
	| { readonly kind: "stopped" }
	| { readonly kind: "starting"; readonly since: number }
	| { readonly kind: "running"; readonly url: string; readonly pid: number; readonly since: number }
	| { readonly kind: "waiting"; readonly reason: string; readonly retryAt: number };

export interface ProcessDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
}

export interface Launch {
	readonly program: string;
	readonly args: readonly string[];
	readonly cwd: string;
	readonly env: Readonly<Record<string, string>>;
}

/**
 * Keeps one program running that says on standard output where it listens.
 *
 *   stopped ── start ──► starting ── its address ──► running
 *      ▲                    │ ended, or silent          │ ended
 *      └──── close ─────────┴─────────► waiting ◄───────┘   back-off, then starting
 */
export class OpencodeProcess implements Closeable {
	readonly #deps: ProcessDeps;
	readonly #prepare: () => Promise<Launch>;
	readonly #onChange: () => void;
	readonly #backoff: Backoff;
	#state: ProcessState = { kind: "stopped" };
	#child: ChildProcess | null = null;
	#timer: Timer | null = null;
	#wanted = false;
	/** Grows with each end that was asked for: whatever began before it goes no further. */
	#turn = 0;
	#log = "";

	/** @param prepare makes what each start needs anew: its secret, its files. */
	constructor(deps: ProcessDeps, prepare: () => Promise<Launch>, onChange: () => void) {
		this.#deps = deps;
		this.#prepare = prepare;
		this.#onChange = onChange;
		this.#backoff = new Backoff(processLimits.backoff, deps.random);
	}

	get state(): ProcessState {
		return this.#state;
	}

	/** The last that it wrote. */
	get log(): string {
		return this.#log;
	}

	start(): void {
		if (this.#wanted) return;
		this.#wanted = true;
		void this.#launch();
	}

	/** Ends it and starts it anew: for what it reads only at its start. */
	async restart(): Promise<void> {
		const closing = this.close();
		const turn = this.#turn;
		await closing;
		// Closed meanwhile: that is the last word.
		if (turn === this.#turn) this.start();
	}

	async close(): Promise<void> {
		this.#wanted = false;
		this.#turn += 1;
		this.#timer?.cancel();
		const child = this.#child;
		if (child !== null) await end(child, this.#deps.clock);
		this.#change({ kind: "stopped" });
	}

	async #launch(): Promise<void> {
		const { clock, logger } = this.#deps;
		const since = clock.now();
		const turn = this.#turn;
		this.#change({ kind: "starting", since });
		let child: Child;
		try {
			const launch = await this.#prepare();
			if (turn !== this.#turn) return;
			child = launched(launch);
		} catch (fault) {
			if (turn === this.#turn) this.#wait((fault as Error).message);
			return;
		}
		this.#child = child;
		const late = clock.after(processLimits.readyMs, () => void end(child, clock));
		let seen = "";
		const read = (chunk: Buffer) => {
			const text = chunk.toString("utf8");
			this.#log = (this.#log + text).slice(-processLimits.maxLogBytes);
			if (this.#state.kind !== "starting") return;
			seen = (seen + text).slice(-4096);
			const url = /listening on (http:\/\/127\.0\.0\.1:\d+)/.exec(seen)?.[1];
			if (url === undefined) return;
			late.cancel();
			this.#change({ kind: "running", url, pid: child.pid ?? 0, since: clock.now() });
		};
		child.stdout.on("data", read);
		child.stderr.on("data", read);
		const ended = (reason: string) => {
			late.cancel();
			if (this.#child !== child) return;
			this.#child = null;
			if (!this.#wanted) return;
			logger.warn("the coding agent ended", { reason });
			if (clock.now() - since > processLimits.livedMs) this.#backoff.reset();
			this.#wait(reason);
		};
		child.once("error", (fault) => ended(fault.message));
		child.once("exit", (code, signal) => ended(`it ended with ${signal ?? `status ${code}`}`));
	}

	#wait(reason: string): void {
		if (!this.#wanted) return;
		const waitMs = this.#backoff.nextMs();
		this.#change({ kind: "waiting", reason, retryAt: this.#deps.clock.now() + waitMs });
		this.#timer = this.#deps.clock.after(waitMs, () => void this.#launch());
	}

	#change(state: ProcessState): void {
		this.#state = state;
		this.#onChange();
	}
}

type Child = ChildProcessByStdio<null, Readable, Readable>;

/** In a group of its own, so that its shells and servers end with it. @throws Error where the system refuses at once. */
function launched({ program, args, cwd, env }: Launch): Child {
	return spawn(program, args, {
		cwd,
		env: { ...env },
		stdio: ["ignore", "pipe", "pipe"],
		detached: process.platform !== "win32",
	});
}

/** Asks its whole group to end, and insists after a while. */
function end(child: ChildProcess, clock: Clock): Promise<void> {
	if (child.exitCode !== null || child.signalCode !== null || child.pid === undefined) return Promise.resolve();
	return new Promise((resolve) => {
		const insist = clock.after(processLimits.stopMs, () => signal(child, "SIGKILL"));
		child.once("exit", () => {
			insist.cancel();
			// What it had started, and left behind.
			signal(child, "SIGKILL");
			resolve();
		});
		signal(child, "SIGTERM");
	});
}

function signal(child: ChildProcess, name: NodeJS.Signals): void {
	try {
		if (process.platform === "win32") child.kill(name);
		else process.kill(-(child.pid as number), name);
	} catch {
		// Gone already.
	}
}
