import { createInterface } from "node:readline/promises";
import { defineErrors } from "@warren/kernel";
import type { Command } from "commander";
import { withLocalNode } from "./local-node.ts";
import { runMachine, withNodeFlags } from "./node-command.ts";

const joinError = defineErrors({ no_code: { status: 400, fix: "Make one on the first machine with: warren invite" } });

interface Invite {
	readonly code: string;
	readonly hubUrl: string;
	readonly expiresAt: number;
}

/** `warren invite` on the first machine, `warren join URL` on the next one. */
export function addJoinCommands(program: Command): void {
	program
		.command("invite")
		.description("A code with which one more machine joins; good once, for ten minutes")
		.option("--data <dir>", "the node's data folder [WARREN_DATA]")
		.option("--json", "the result as JSON")
		.action((flags: { data?: string; json?: boolean }) =>
			withLocalNode(flags, async (node) => {
				const invite = await node.call<Invite>("POST", "/v1/invites", {});
				process.stdout.write(flags.json === true ? `${JSON.stringify(invite)}\n` : invitation(invite));
			}),
		);
	withNodeFlags(program.command("join <url> [code]"))
		.description("Make this machine one of a warren, and start it; the code comes from `warren invite`")
		.option("--no-start", "only join; start it later with: warren up")
		.action(async (url: string, given: string | undefined, flags: Record<string, unknown> & { start: boolean }) => {
			const { parseNodeConfig } = await import("../config/node-config.ts");
			const config = parseNodeConfig(flags, process.env);
			const code = given ?? process.env["WARREN_JOIN_CODE"] ?? (await askForCode());
			const { joinAs } = await import("../hub/join-as.ts");
			const port = await joinAs(config, url, code);
			process.stderr.write(`${config.name} has joined the warren at ${url}.\n`);
			// With --port 0 the hub was told a port: it stays.
			if (flags.start) await runMachine({ ...flags, start: undefined, port: String(port) });
		});
}

function invitation({ code, hubUrl, expiresAt }: Invite): string {
	const minutes = Math.round((expiresAt - Date.now()) / 60_000);
	return `On the other machine, within ${minutes} minutes:\n\n  warren join ${hubUrl}\n\nIt asks for this code, which works once:\n\n  ${code}\n`;
}

/** From a person at a terminal, or from a pipe: never an argument, which others on the machine could read. */
async function askForCode(): Promise<string> {
	const lines = createInterface({ input: process.stdin, output: process.stderr, terminal: process.stdin.isTTY });
	try {
		const code = process.stdin.isTTY
			? await lines.question("Code: ")
			: (await lines[Symbol.asyncIterator]().next()).value;
		if (typeof code !== "string" || code.trim() === "") throw joinError("no_code", "No join code was given.");
		return code;
	} finally {
		lines.close();
	}
}
