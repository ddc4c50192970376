import {
	type Clock,
	type Closeable,
	type Logger,
	messageOf,
	type Random,
	systemClock,
	systemRandom,
	WarrenError,
} from "@warren/kernel";
import { createLogger } from "@warren/net";

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
}

export interface RoleSettings {
	readonly logLevel: "debug" | "info" | "warn" | "error";
	readonly json: boolean;
}

/** Runs one server in this process: says when it is ready, closes it at SIGTERM or SIGINT. */
export async function runRole(settings: RoleSettings, open: (deps: RoleDeps) => Promise<RunningRole>): Promise<void> {
	const logger = createLogger({ level: settings.logLevel, json: settings.json });
	const role = await open({ clock: systemClock, random: systemRandom, logger });
	// Before anybody reads that it is ready, and may stop it.
	const stop = stopped();
	process.stdout.write(settings.json ? `${JSON.stringify(role.ready)}\n` : role.greeting);
	await stop;
	logger.info("stopping");
	await role.close();
	process.exit(0);
}

/** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
function stopped(): Promise<void> {
	return new Promise((resolve) => {
		for (const signal of ["SIGTERM", "SIGINT"] as const) {
			process.once(signal, () => {
				process.once(signal, () => process.exit(1));
				resolve();
			});
		}
	});
}

/** What a person sees when a command fails: what happened, then what to do. */
export function reportFailure(failure: unknown): void {
	if (failure instanceof WarrenError) {
		process.stderr.write(`warren: ${failure.message}\n${failure.fix === "" ? "" : `        ${failure.fix}\n`}`);
		return;
	}
	process.stderr.write(
		`warren: unexpected failure: ${messageOf(failure)}\n${failure instanceof Error ? `${failure.stack}\n` : ""}`,
	);
}
