import type { Command } from "commander";
import { type ServiceWhoamiFlags, whoamiAtService } from "./agent-command.ts";
import { whoamiAtHub } from "./login-commands.ts";

interface Flags extends Partial<ServiceWhoamiFlags> {
	readonly data?: string;
}

/** `warren whoami`: at the hub, or with --service what a service of the backbone is told. */
export function addWhoamiCommand(program: Command): void {
	program
		.command("whoami")
		.description("Who is signed in here, and at which hub; with --service, what a service would be told about you")
		.option("--data <dir>", "the data folder [WARREN_DATA]")
		.option("--service <name>", "a service of a backbone; the credential comes from BACKBONE_CREDENTIAL")
		.option("--backbone <url>", "the backbone [BACKBONE_URL]")
		.option("--ca <file>", "CA of the backbone, PEM [BACKBONE_CA]")
		.option("--json", "the result as JSON")
		.action(async (flags: Flags) => {
			const { service } = flags;
			if (service === undefined) await whoamiAtHub(flags);
			else await whoamiAtService({ ...flags, service });
		});
}
