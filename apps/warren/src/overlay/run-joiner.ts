import { mkdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { dataFolderOf } from "../cli/data-folder-of.ts";
import { parseJoinerConfig } from "../config/joiner-config.ts";
import { isLoopback } from "../config/server-config.ts";
import { readMembershipAt } from "../hub/membership.ts";
import { RoleSlots } from "../supervisor/role-slots.ts";
import { runSupervised } from "../supervisor/supervised-role.ts";
import { openJoiner } from "./joiner-role.ts";

const coordinatorPort = 8888;

/** This machine's place on its warren's overlay: the one process of `warren up` with network privileges. */
export async function runJoiner(flags: Record<string, unknown>): Promise<void> {
	const config = parseJoinerConfig({ ...joinerFlags(dataFolderOf(flags), flags["host"]), ...own(flags) }, process.env);
	await runSupervised(config, async (deps, processes) => {
		const slots: RoleSlots = new RoleSlots({ ...deps, onChange: () => processes.tell(slots.rows()) });
		await slots.start("overlay", () => openJoiner(deps, config));
		return { ready: {}, greeting: "", close: () => slots.close() };
	});
}

/** A machine is admitted by its leaf: no token, no configuration. */
function joinerFlags(data: string, host: unknown = process.env["WARREN_HOST"]): Record<string, unknown> {
	const port = process.env["WARREN_COORDINATOR_PORT"] ?? String(coordinatorPort);
	const tls = { tlsCert: join(data, "tls", "node.crt"), tlsKey: join(data, "tls", "node.key") };
	const membership = readMembershipAt(data);
	if (membership === null)
		return { data, coordinator: [`https://${ownHost(host)}:${port}`], ...tls, tlsCa: join(data, "ca", "ca.crt") };
	const tlsCa = join(data, "overlay", "ca.crt");
	mkdirSync(join(data, "overlay"), { recursive: true, mode: 0o700 });
	writeFileSync(tlsCa, membership.ca, { mode: 0o600 });
	return { data, coordinator: [`https://${new URL(membership.hubUrl).hostname}:${port}`], ...tls, tlsCa };
}

/** Where the edge process beside this one listens: at one address alone, when it was given one. */
function ownHost(host: unknown): string {
	if (typeof host !== "string" || isLoopback(host) || host === "0.0.0.0" || host === "::") return "localhost";
	return host.includes(":") ? `[${host}]` : host;
}

function own({ name, json, logLevel }: Record<string, unknown>): Record<string, unknown> {
	return { name, json, logLevel };
}
