import type { Command } from "commander";
import { parseSidecarConfig } from "../config/sidecar-config.ts";
import { openSidecarRole } from "../sidecar/sidecar-role.ts";
import { runRole } from "./run-role.ts";

/** `warren sidecar`: workspaces and documents for this machine's windows, alone. */
export function addSidecarCommand(program: Command): void {
	program
		.command("sidecar")
		.description("Start a sidecar alone: documents and workspaces for this machine's windows, in step with a hub")
		.option("--hub <url>", "the hub; unless told, the one of `warren login` [WARREN_HUB]")
		.option("--data <dir>", "where state lives [WARREN_DATA]")
		.option("--port <port>", "3913 unless told [WARREN_SIDECAR_PORT]")
		.option("--host <address>", "a loopback address, 127.0.0.1 unless told [WARREN_SIDECAR_HOST]")
		.option("--name <name>", "this machine's name, as discovery shows it [WARREN_NAME]")
		.option("--attached", "end when standard input ends, as a window's child does [WARREN_ATTACHED]")
		.option("--log-level <level>", "debug, info, warn or error [WARREN_LOG_LEVEL]")
		.option("--json", "one JSON line when ready, JSON logs [WARREN_JSON]")
		.action(async (flags: Record<string, unknown>) => {
			const config = parseSidecarConfig(flags, process.env);
			await runRole("sidecar", config, async (deps) => {
				const role = await openSidecarRole(deps, config);
				const { url, hubUrl, user, data } = role.ready;
				const who = user === null ? "nobody yet: warren login" : user;
				const greeting = `The sidecar is up.\n\n  Windows  ${url}\n  Hub      ${hubUrl}\n  Syncs    ${who}\n\nData is in ${data}. Stop with Ctrl-C.\n`;
				return { ready: role.ready, greeting, close: () => role.close() };
			});
		});
}
