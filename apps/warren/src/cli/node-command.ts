import { type Command, Option } from "commander";
import { renderUnicodeCompact } from "uqr";
import { parseNodeConfig } from "../config/node-config.ts";
import { openHubPart } from "../hub/hub-part.ts";
import { type NodeReady, openNode } from "../node/node-role.ts";
import type { OpenPart } from "../node/role-part.ts";
import { runRole } from "./run-role.ts";

/** Flags of every server; each has its environment variable (`parseNodeConfig`). */
export function withNodeFlags(command: Command): Command {
	return command
		.option("--data <dir>", "where state lives [WARREN_DATA]")
		.option("--port <port>", "port for people, 5151 unless told [WARREN_PORT]")
		.option("--host <address>", "address to listen on, all unless told [WARREN_HOST]")
		.option("--name <name>", "this machine's name [WARREN_NAME]")
		.option("--hostname <name...>", "further names by which it may be called [WARREN_HOSTNAME]")
		.option("--tls-cert <file>", "own certificate, PEM, leaf first [WARREN_TLS_CERT]")
		.option("--tls-key <file>", "its key, PEM [WARREN_TLS_KEY]")
		.option("--http", "plain HTTP, on loopback only [WARREN_HTTP]")
		.option("--trusted-proxy <cidr...>", "proxies whose X-Forwarded-For counts [WARREN_TRUSTED_PROXY]")
		.option("--peer-port <port>", "port on which tailnet machines are asked [WARREN_PEER_PORT]")
		.option("--log-level <level>", "debug, info, warn or error [WARREN_LOG_LEVEL]")
		.addOption(new Option("--json", "one JSON line when ready, JSON logs [WARREN_JSON]"));
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
