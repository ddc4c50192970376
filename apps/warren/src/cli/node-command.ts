import type { Command } from "commander";
import { renderUnicodeCompact } from "uqr";
import { parseNodeConfig } from "../config/node-config.ts";
import { openHubPart } from "../hub/hub-part.ts";
import { type NodeReady, openNode } from "../node/node-role.ts";
import type { OpenPart } from "../node/role-part.ts";
import { runRole } from "./run-role.ts";
import { withServerFlags } from "./server-flags.ts";

/** Flags of a node. */
export function withNodeFlags(command: Command): Command {
	return withServerFlags(command, "port for people, 5151 unless told [WARREN_PORT]")
		.option("--peer-port <port>", "port on which tailnet machines are asked [WARREN_PEER_PORT]")
		.option("--workspaces", "serve workspaces on the hub's own origin too [WARREN_WORKSPACES]");
}

export function addNodeCommands(program: Command): void {
	withNodeFlags(program.command("up"))
		.description("Start this machine: every role, embedded stores")
		.action((flags: Record<string, unknown>) => runNode(flags, [openHubPart]));
	withNodeFlags(program.command("node"))
		.description("Start the node role alone: terminals, peers, relay, web UI")
		.action((flags: Record<string, unknown>) => runNode(flags));
}

/** Until SIGTERM or SIGINT. */
export async function runNode(flags: Record<string, unknown>, parts: readonly OpenPart[] = []): Promise<void> {
	const config = parseNodeConfig(flags, process.env);
	await runRole(config, async (deps) => {
		const role = await openNode(deps, config, parts);
		if (role.firstCredentials !== null) {
			const { user, pin } = role.firstCredentials;
			process.stderr.write(`User ${user}, PIN ${pin}  (shown this once; the setup link changes it)\n`);
		}
		return { ready: role.ready, greeting: greeting(config.name, role.ready), close: () => role.close() };
	});
}

function greeting(name: string, ready: NodeReady): string {
	const lines = [`Warren is up on ${name}.`, "", `  Open        ${ready.url}`];
	if (ready.lanUrl !== null) lines.push(`  On a phone  ${ready.lanUrl}`);
	if (ready.caFingerprint !== null) {
		lines.push(
			`  Trust       ${ready.url}/trust   (once per device, so that browsers stop warning)`,
			`  CA SHA-256  ${ready.caFingerprint}`,
		);
	}
	if (ready.setupUrl !== null) {
		const phoneUrl = ready.setupUrl.replace(ready.url, ready.lanUrl ?? ready.url);
		lines.push(
			"",
			"First time here? Open this link once, within a day, or scan it with your phone:",
			"",
			`  ${ready.setupUrl}`,
			"",
		);
		lines.push(renderUnicodeCompact(phoneUrl, { border: 1 }));
	}
	lines.push("", `Data is in ${ready.data}. Stop with Ctrl-C.`, "");
	return `${lines.join("\n")}\n`;
}
