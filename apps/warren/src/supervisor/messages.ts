import type { RoleRow } from "../node/role-part.ts";

/** What a supervised process and its supervisor tell each other, over Node's own channel. */
export type FromProcess =
	/** It serves. */
	| {
			readonly type: "ready";
			readonly ready: object;
			readonly greeting: string;
			/** A secret for the terminal, never for the log; empty = none. */
			readonly notice: string;
	  }
	/** A secret that is shown once, on the terminal alone, whenever it is made. */
	| { readonly type: "notice"; readonly notice: string }
	/** It cannot start and says why; it ends after this. */
	| { readonly type: "failed"; readonly code: string; readonly message: string; readonly fix: string }
	/** What it runs, at each change. */
	| { readonly type: "roles"; readonly roles: readonly RoleRow[] }
	/** Every `aliveEveryMs`, as long as its event loop turns. */
	| { readonly type: "alive"; readonly memoryBytes: number };

/** The rows of the table that `status` shows, sent to every process at each change. */
export interface ToProcess {
	readonly type: "processes";
	readonly processes: readonly ProcessRow[];
}

export interface ProcessRow {
	readonly name: string;
	/** `restarting`: it ended, and starts again at a time of its back-off. */
	readonly state: "starting" | "running" | "restarting" | "stopped";
	/** When it came into this state, wall clock, ms. */
	readonly since: number;
	readonly pid: number | null;
	/** Resident, bytes; null until it has said so. */
	readonly memoryBytes: number | null;
	/** Those that it told of: a process of several roles. */
	readonly roles: readonly RoleRow[];
	/** How often it was started again. */
	readonly restarts: number;
	/** Why it ended last; null = never did. */
	readonly error: { readonly message: string; readonly fix: string } | null;
}

export const aliveEveryMs = 5_000;
