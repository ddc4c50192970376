import { flushCompileCache } from "node:module";
import { messageOf, systemClock, systemRandom, WarrenError } from "@warren/kernel";
import { createLogger, MemoryTrim } from "@warren/net";
import type { RoleDeps, RoleSettings, RunningRole } from "../cli/run-role.ts";
import { systemFault } from "../cli/system-fault.ts";
import type { RoleRow } from "../node/role-part.ts";
import { openTracer } from "../traces/open-tracer.ts";
import type { OtlpTracer } from "../traces/otlp-tracer.ts";
import { aliveEveryMs, type FromProcess, type ProcessRow, type ToProcess } from "./messages.ts";

/** What a supervised process learns of all of them. */
export interface Processes {
	readonly rows: () => readonly ProcessRow[];
	/** @returns what ends it. */
	readonly watch: (watcher: () => void) => () => void;
	/** Tells the supervisor what this process runs. */
	readonly tell: (roles: readonly RoleRow[]) => void;
	/** Shows a secret once: on the terminal, never in the log. */
	readonly notice: (text: string) => void;
}

/**
 * The side of a supervised process: opens its roles, tells when they serve, and ends when it is told to, or when its
 * supervisor is gone.
 */
export async function runSupervised(
	name: string,
	settings: RoleSettings,
	open: (deps: RoleDeps, processes: Processes) => Promise<RunningRole>,
): Promise<void> {
	const logger = createLogger({ level: settings.logLevel, json: settings.json });
	MemoryTrim.start(systemClock);
	const stop = stopped();
	let rows: readonly ProcessRow[] = [];
	const watchers = new Set<() => void>();
	process.on("message", (message: ToProcess) => {
		rows = message.processes;
		for (const watcher of [...watchers]) watcher();
	});
	let role: RunningRole;
	const deps = { clock: systemClock, random: systemRandom, logger };
	let tracer: OtlpTracer | null;
	try {
		tracer = await openTracer(name, deps, process.env);
		role = await open(
			{ ...deps, tracer },
			{
				rows: () => rows,
				watch: (watcher) => {
					watchers.add(watcher);
					return () => void watchers.delete(watcher);
				},
				tell: (roles) => void tell({ type: "roles", roles }),
				notice: (notice) => void tell({ type: "notice", notice }),
			},
		);
	} catch (thrown) {
		const failure = systemFault(thrown) ?? thrown;
		const { code, fix } = failure instanceof WarrenError ? failure : { code: "unexpected", fix: "" };
		if (!(failure instanceof WarrenError)) logger.error("unexpected failure", { stack: (failure as Error).stack });
		await tell({ type: "failed", code, message: messageOf(failure), fix });
		process.exit(1);
	}
	await tell({ type: "ready", ready: role.ready, greeting: role.greeting, notice: role.notice ?? "" });
	flushCompileCache();
	const beat = setInterval(() => void tell({ type: "alive", memoryBytes: process.memoryUsage.rss() }), aliveEveryMs);
	beat.unref();
	void tell({ type: "alive", memoryBytes: process.memoryUsage.rss() });
	await stop;
	await role.close();
	await tracer?.close();
	process.exit(0);
}

function stopped(): Promise<void> {
	return new Promise((resolve) => {
		process.once("SIGTERM", resolve);
		// Ctrl-C reaches the whole group; the supervisor asks each in its turn.
		process.on("SIGINT", () => {});
		process.once("disconnect", resolve);
	});
}

/** Resolves once it is handed over, or nobody is there to hear it. */
function tell(message: FromProcess): Promise<void> {
	return new Promise((resolve) => {
		if (process.send === undefined || !process.connected) return resolve();
		process.send(message, undefined, undefined, () => resolve());
	});
}
