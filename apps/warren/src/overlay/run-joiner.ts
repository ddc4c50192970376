import { unwatchFile, watchFile } from "node:fs";
import { type Clock, defineErrors, messageOf } from "@warren/kernel";
import { dataFolderOf } from "../cli/data-folder-of.ts";
import type { RoleDeps, RunningRole } from "../cli/run-role.ts";
import type { JoinerConfig } from "../config/joiner-config.ts";
import { type MachineJoiner, parseMachineJoiner } from "../config/machine-joiner.ts";
import { RoleSlots } from "../supervisor/role-slots.ts";
import { type Processes, runSupervised } from "../supervisor/supervised-role.ts";
import { appsFile } from "./apps-file.ts";
import { appsToServe } from "./apps-to-serve.ts";
import { openJoiner } from "./joiner-role.ts";

const joinerError = defineErrors({ no_coordinator: { status: 503, retryable: true } });
/** How soon a service that is exposed gets its address. */
const appsPollMs = 500;
/** How long the coordinator beside this process may take to say where it is, until its role is tried again. */
const placeMs = 10_000;

/** This machine's place on its warren's overlay: the one process of `warren up` with network privileges. */
export async function runJoiner(flags: Record<string, unknown>): Promise<void> {
	const machine = parseMachineJoiner(flags, process.env, dataFolderOf(flags));
	await runSupervised("joiner", machine.configOf(null), async (deps, processes) => {
		const slots: RoleSlots = new RoleSlots({ ...deps, onChange: () => processes.tell(slots.rows()) });
		await slots.start("overlay", () => openBeside(deps, processes, machine));
		return { ready: {}, greeting: "", close: () => slots.close() };
	});
}

/** Where the coordinator beside it listens, followed when it moves, if that is for the system to choose. */
async function openBeside(deps: RoleDeps, processes: Processes, machine: MachineJoiner): Promise<RunningRole> {
	if (!machine.asksBeside) return openWithApps(deps, machine.configOf(null));
	let port = await portBeside(deps.clock, processes);
	const joiner = await openWithApps(deps, machine.configOf(port));
	const unwatch = processes.watch(() => {
		const now = portNow(processes);
		if (now === null || now === port) return;
		port = now;
		joiner.moveTo(machine.configOf(now).coordinator);
	});
	return {
		...joiner,
		close: () => {
			unwatch();
			return joiner.close();
		},
	};
}

/** Null while none runs, or nothing is known yet. */
function portNow(processes: Processes): number | null {
	const roles = processes.rows().flatMap((row) => row.roles);
	return roles.find(({ name, state }) => name === "coordinator" && state === "running")?.port ?? null;
}

/** @throws WarrenError `no_coordinator` when it does not say in time. */
function portBeside(clock: Clock, processes: Processes): Promise<number> {
	return new Promise((resolve, reject) => {
		const late = clock.after(placeMs, () => {
			unwatch();
			reject(
				joinerError("no_coordinator", "The coordinator of this machine does not run, so its port is not known.", {
					fix: "See why with: warren status. Where the edge runs nowhere, set WARREN_COORDINATOR_PORT to the coordinator's own.",
				}),
			);
		});
		const look = () => {
			const port = portNow(processes);
			if (port === null) return;
			late.cancel();
			unwatch();
			resolve(port);
		};
		const unwatch = processes.watch(look);
		look();
	});
}

/** With what `warren expose` gives an address, as it changes. */
async function openWithApps(deps: RoleDeps, config: JoinerConfig) {
	const file = appsFile(config.data);
	const apps = () => appsToServe(config.apps, config.data, deps.logger);
	const joiner = await openJoiner(deps, { ...config, apps: apps() });
	const change = () =>
		void joiner
			.setApps(apps())
			.catch((fault: unknown) => deps.logger.error("an exposed service has no address", { fault: messageOf(fault) }));
	watchFile(file, { interval: appsPollMs, persistent: false }, change);
	return {
		...joiner,
		close: () => {
			unwatchFile(file, change);
			return joiner.close();
		},
	};
}
