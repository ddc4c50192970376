import type { Command } from "commander";
import { renderUnicodeCompact } from "uqr";
import { parseHubConfig } from "../config/hub-config.ts";
import { type HubReady, openHub } from "../hub/hub-role.ts";
import { withClusterFlags } from "./cluster-flags.ts";
import { runRole } from "./run-role.ts";
import { withServerFlags } from "./server-flags.ts";

/** `warren hub`: accounts, machines, documents, alone. */
export function addHubCommand(program: Command): void {
	const command = withServerFlags(
		program.command("hub"),
		"port for people and machines, 3914 unless told [WARREN_PORT]",
	)
		.description("Start a hub alone: accounts, joining, documents, discovery")
		.option("--workspaces", "serve workspaces on the hub too [WARREN_WORKSPACES]")
		.option(
			"--public-url <url>",
			"how people reach it through a balancer: https://hub.example.com [WARREN_PUBLIC_URL]",
		);
	withClusterFlags(command).action(async (flags: Record<string, unknown>) => {
		const config = parseHubConfig(flags, process.env);
		await runRole("hub", config, async (deps) => {
			const role = await openHub(deps, config);
			return { ready: role.ready, greeting: greeting(config.name, role.ready), close: () => role.close() };
		});
	});
}

function greeting(name: string, ready: HubReady): string {
	const lines = [`The hub is up on ${name}.`, "", `  Open        ${ready.url}`];
	if (ready.lanUrl !== null) lines.push(`  On a phone  ${ready.lanUrl}`);
	if (ready.caFingerprint !== null) lines.push(`  CA SHA-256  ${ready.caFingerprint}`);
	if (ready.setupUrl !== null) {
		const phoneUrl = ready.setupUrl.replace(ready.url, ready.lanUrl ?? ready.url);
		lines.push("", "Nobody has an account yet. Make the first one with this link, once, within a day:", "");
		lines.push(`  ${ready.setupUrl}`, "", renderUnicodeCompact(phoneUrl, { border: 1 }));
	}
	const login = `warren login ${ready.url}${ready.caFingerprint === null ? "" : ` --fingerprint ${ready.caFingerprint}`}`;
	lines.push("", `A command line signs in with: ${login}`);
	lines.push(`Data is in ${ready.data}. Stop with Ctrl-C.`, "");
	return `${lines.join("\n")}\n`;
}
