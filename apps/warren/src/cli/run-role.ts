import { type Clock, type Closeable, type Logger, type Random, systemClock, systemRandom } from "@warren/kernel";
import { createLogger, MemoryTrim } from "@warren/net";
import { stopped } from "./stopped.ts";

export interface RoleDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
}

/** A role that runs. */
export interface RunningRole extends Closeable {
	/** The one line of `--json`. */
	readonly ready: object;
	/** What the console prints instead. */
	readonly greeting: string;
	/** A secret that is shown once, on the terminal alone. */
	readonly notice?: string;
}

export interface RoleSettings {
	readonly logLevel: "debug" | "info" | "warn" | "error";
	readonly json: boolean;
	/** Ends with standard input: the child of a window. */
	readonly attached?: boolean;
}

/** Runs one server in this process: says when it is ready, closes it at SIGTERM or SIGINT. */
export async function runRole(settings: RoleSettings, open: (deps: RoleDeps) => Promise<RunningRole>): Promise<void> {
	const logger = createLogger({ level: settings.logLevel, json: settings.json });
	MemoryTrim.start(systemClock);
	const role = await open({ clock: systemClock, random: systemRandom, logger });
	if (role.notice !== undefined) process.stderr.write(role.notice);
	// Before anybody reads that it is ready, and may stop it.
	const stop = stopped(settings.attached);
	process.stdout.write(settings.json ? `${JSON.stringify(role.ready)}\n` : role.greeting);
	await stop;
	logger.info("stopping");
	await role.close();
	process.exit(0);
}
