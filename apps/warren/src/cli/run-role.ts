import { flushCompileCache } from "node:module";
import {
	type Clock,
	type Closeable,
	type Logger,
	type Random,
	systemClock,
	systemRandom,
	type Tracer,
} from "@warren/kernel";
import { createLogger, MemoryTrim } from "@warren/net";
import { openTracer } from "../traces/open-tracer.ts";
import { stopped } from "./stopped.ts";

export interface RoleDeps {
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	/** Null or absent = nobody asked for traces. */
	readonly tracer?: Tracer | null | undefined;
}

/** A role that runs. */
export interface RunningRole extends Closeable {
	/** Resolves when it does its work, rejects when it never will; absent = it does. Stopped before that, it is closed as after it. */
	readonly up?: Promise<void>;
	/** The one line of `--json`. Read once it is up, as the greeting is. */
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

/** Runs one server in this process: says when it is ready, closes it at SIGTERM or SIGINT. @param name in traces. */
export async function runRole(
	name: string,
	settings: RoleSettings,
	open: (deps: RoleDeps) => Promise<RunningRole>,
): Promise<void> {
	const logger = createLogger({ level: settings.logLevel, json: settings.json });
	MemoryTrim.start(systemClock);
	const deps = { clock: systemClock, random: systemRandom, logger };
	const tracer = await openTracer(name, deps, process.env);
	const role = await open({ ...deps, tracer });
	if (role.notice !== undefined) process.stderr.write(role.notice);
	// Before anybody reads that it is ready, and may stop it.
	const failed = new AbortController();
	const stop = stopped(settings.attached, failed.signal);
	if (await isUp(role, stop, failed)) {
		process.stdout.write(settings.json ? `${JSON.stringify(role.ready)}\n` : role.greeting);
		// What it compiled is the next start's as well, also if this one is killed.
		flushCompileCache();
	}
	await stop;
	logger.info("stopping");
	await role.close();
	await tracer?.close();
	// With the status that the role has set, if it ended by itself.
	process.exit();
}

/** False = it was told to stop first. @throws what keeps the role from its work, once the role is closed. */
async function isUp(role: RunningRole, stop: Promise<void>, failed: AbortController): Promise<boolean> {
	if (role.up === undefined) return true;
	try {
		return await Promise.race([role.up.then(() => true), stop.then(() => false)]);
	} catch (fault) {
		await role.close();
		failed.abort();
		throw fault;
	}
}
