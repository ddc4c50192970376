import { existsSync, mkdirSync, readFileSync, unwatchFile, watchFile, writeFileSync } from "node:fs";
import { join } from "node:path";
import { messageOf, parseConfig } from "@warren/kernel";
import { z } from "zod";
import { dataFolderOf } from "../cli/data-folder-of.ts";
import type { RoleDeps, RunningRole } from "../cli/run-role.ts";
import { type JoinerConfig, parseJoinerConfig } from "../config/joiner-config.ts";
import { localHost } from "../config/server-config.ts";
import { RoleSlots } from "../supervisor/role-slots.ts";
import { runSupervised } from "../supervisor/supervised-role.ts";
import { appsFile, readApps } from "./apps-file.ts";
import { openJoiner } from "./joiner-role.ts";

const coordinatorPort = 8888;
/** How soon a service that is exposed gets its address. */
const appsPollMs = 500;
/** What the joiner needs of it; its whole reader (`hub/membership.ts`) loads accounts, which would double this process. */
const membershipSchema = z.object({ hubUrl: z.url(), ca: z.string() });

/** This machine's place on its warren's overlay: the one process of `warren up` with network privileges. */
export async function runJoiner(flags: Record<string, unknown>): Promise<void> {
	const config = parseJoinerConfig({ ...joinerFlags(dataFolderOf(flags), flags["host"]), ...own(flags) }, process.env);
	await runSupervised("joiner", config, async (deps, processes) => {
		const slots: RoleSlots = new RoleSlots({ ...deps, onChange: () => processes.tell(slots.rows()) });
		await slots.start("overlay", () => openWithApps(deps, config));
		return { ready: {}, greeting: "", close: () => slots.close() };
	});
}

/** With what `warren expose` gives an address, as it changes. */
async function openWithApps(deps: RoleDeps, config: JoinerConfig): Promise<RunningRole> {
	const file = appsFile(config.data);
	const apps = () => [...config.apps, ...readApps(config.data)];
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

/** A machine is admitted by its leaf: no token, no configuration. */
function joinerFlags(data: string, host: unknown = process.env["WARREN_HOST"]): Record<string, unknown> {
	const port = process.env["WARREN_COORDINATOR_PORT"] ?? String(coordinatorPort);
	const tls = { tlsCert: join(data, "tls", "node.crt"), tlsKey: join(data, "tls", "node.key") };
	const file = join(data, "membership.json");
	if (!existsSync(file))
		return {
			data,
			coordinator: [`https://${localHost(typeof host === "string" ? host : undefined)}:${port}`],
			...tls,
			tlsCa: join(data, "ca", "ca.crt"),
		};
	const membership = parseConfig(membershipSchema, JSON.parse(readFileSync(file, "utf8")), "join");
	const tlsCa = join(data, "overlay", "ca.crt");
	mkdirSync(join(data, "overlay"), { recursive: true, mode: 0o700 });
	writeFileSync(tlsCa, membership.ca, { mode: 0o600 });
	return { data, coordinator: [`https://${new URL(membership.hubUrl).hostname}:${port}`], ...tls, tlsCa };
}

function own({ name, json, logLevel }: Record<string, unknown>): Record<string, unknown> {
	return { name, json, logLevel };
}
