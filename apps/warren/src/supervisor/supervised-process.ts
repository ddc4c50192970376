import { Backoff, type Clock, type Random, type Timer } from "@warren/kernel";
import { aliveEveryMs, type FromProcess, type ProcessRow } from "./messages.ts";

/** A process of the system, as its supervisor holds it. */
export interface Launched {
	readonly pid: number | null;
	signal(name: "SIGTERM" | "SIGKILL"): void;
}

export interface LaunchHandlers {
	readonly message: (message: FromProcess) => void;
	/** Once; after it nothing more is heard. */
	readonly ended: (how: string) => void;
}

export interface SupervisedProcessDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly launch: (handlers: LaunchHandlers) => Launched;
	readonly onChange: () => void;
	readonly onReady: (message: Extract<FromProcess, { type: "ready" }>) => void;
}

/** Bounds of a process's life, milliseconds. */
export const processLimits = {
	/** To its first `ready`. */
	startMs: 60_000,
	/** Silence after which its event loop counts as stuck. */
	silenceMs: 6 * aliveEveryMs,
	/** From SIGTERM to SIGKILL. */
	stopMs: 10_000,
	/** Running so long forgets earlier failures. */
	stableMs: 60_000,
	restart: { firstMs: 500, maxMs: 60_000 },
};

/**
 * One process that is meant to run: started again whenever it ends, ever later while it keeps failing, killed when it
 * does not get ready or its event loop is stuck.
 */
export class SupervisedProcess {
	readonly name: string;
	readonly #deps: SupervisedProcessDeps;
	readonly #backoff: Backoff;
	#launched: Launched | null = null;
	#timer: Timer | undefined;
	#stable: Timer | undefined;
	#row: ProcessRow;
	#failure: ProcessRow["error"] = null;
	/** Why we killed it, told when it has ended. */
	#killedFor: string | null = null;
	#stopped: (() => void) | null = null;

	constructor(name: string, deps: SupervisedProcessDeps) {
		this.name = name;
		this.#deps = deps;
		this.#backoff = new Backoff(processLimits.restart, deps.random);
		this.#row = {
			name,
			state: "stopped",
			since: deps.clock.now(),
			pid: null,
			memoryBytes: null,
			roles: [],
			restarts: 0,
			error: null,
		};
	}

	get row(): ProcessRow {
		return this.#row;
	}

	/** Safe to call when it runs. */
	start(): void {
		if (this.#launched !== null || this.#stopped !== null) return;
		this.#failure = null;
		this.#killedFor = null;
		this.#launched = this.#deps.launch({
			message: (message) => this.#heard(message),
			ended: (how) => this.#ended(how),
		});
		this.#become({ state: "starting", pid: this.#launched.pid, memoryBytes: null });
		this.#watch(processLimits.startMs, `it was not ready after ${processLimits.startMs / 1000} s`);
	}

	/** SIGTERM, and SIGKILL when that is not enough; resolves when it is gone. For good. */
	stop(): Promise<void> {
		return new Promise((resolve) => {
			const before = this.#stopped;
			this.#stopped = () => {
				before?.();
				resolve();
			};
			this.#timer?.cancel();
			this.#stable?.cancel();
			if (this.#launched === null) {
				this.#become({ state: "stopped", pid: null });
				this.#stopped();
				return;
			}
			this.#launched.signal("SIGTERM");
			this.#timer = this.#deps.clock.after(processLimits.stopMs, () => this.#launched?.signal("SIGKILL"));
		});
	}

	#heard(message: FromProcess): void {
		if (this.#stopped !== null) return;
		switch (message.type) {
			case "ready":
				this.#become({ state: "running", error: null });
				this.#listen();
				this.#stable = this.#deps.clock.after(processLimits.stableMs, () => this.#backoff.reset());
				this.#deps.onReady(message);
				return;
			case "roles":
				this.#row = { ...this.#row, roles: message.roles };
				this.#deps.onChange();
				return;
			case "failed":
				this.#failure = { message: message.message, fix: message.fix };
				return;
			case "alive":
				if (this.#row.state !== "running") return;
				this.#row = { ...this.#row, memoryBytes: message.memoryBytes };
				this.#deps.onChange();
				this.#listen();
		}
	}

	#listen(): void {
		this.#watch(processLimits.silenceMs, `it did not answer for ${processLimits.silenceMs / 1000} s`);
	}

	#watch(ms: number, reason: string): void {
		this.#timer?.cancel();
		this.#timer = this.#deps.clock.after(ms, () => {
			this.#killedFor = reason;
			this.#launched?.signal("SIGKILL");
		});
	}

	#ended(how: string): void {
		this.#launched = null;
		this.#timer?.cancel();
		this.#stable?.cancel();
		if (this.#stopped !== null) {
			this.#become({ state: "stopped", pid: null, memoryBytes: null, roles: [] });
			this.#stopped();
			return;
		}
		const error = this.#failure ?? {
			message: this.#killedFor ?? how,
			fix: `See why with: warren logs --process ${this.name}`,
		};
		this.#become({ state: "restarting", pid: null, memoryBytes: null, roles: [], error });
		this.#timer = this.#deps.clock.after(this.#backoff.nextMs(), () => {
			this.#row = { ...this.#row, restarts: this.#row.restarts + 1 };
			this.start();
		});
	}

	#become(change: Partial<ProcessRow>): void {
		this.#row = { ...this.#row, ...change, since: this.#deps.clock.now() };
		this.#deps.onChange();
	}
}
