import { existsSync } from "node:fs";
import { platform } from "node:os";
import { join } from "node:path";
import { systemClock, systemRandom } from "@warren/kernel";
import type { Command } from "commander";
import { Supervisor } from "../supervisor/supervisor.ts";
import { dataFolderOf } from "./data-folder-of.ts";
import { withServerFlags } from "./server-flags.ts";
import { stopped } from "./stopped.ts";

/** Flags of a node. */
export function withNodeFlags(command: Command): Command {
	return withServerFlags(command, "port for people, 5151 unless told [WARREN_PORT]")
		.option("--peer-port <port>", "port on which tailnet machines are asked [WARREN_PEER_PORT]")
		.option("--workspaces", "serve workspaces on the hub's own origin too [WARREN_WORKSPACES]");
}

export function addNodeCommands(program: Command): void {
	withNodeFlags(program.command("up"))
		.description("Start this machine: every role, embedded stores")
		.action((flags: Record<string, unknown>) => runMachine(flags));
	withNodeFlags(program.command("node"))
		.description("Start the node role alone: terminals, peers, relay, web UI")
		.action(async (flags: Record<string, unknown>) => {
			const { runNode } = await import("../node/run-node.ts");
			await runNode(flags);
		});
	withNodeFlags(program.command("process <name>", { hidden: true }))
		.description("One of the processes of `warren up`, under its supervisor")
		.action(async (name: string, flags: Record<string, unknown>) => {
			if (name === "joiner") await (await import("../overlay/run-joiner.ts")).runJoiner(flags);
			else if (name === "edge") await (await import("../edge/run-edge.ts")).runEdge(flags);
			else await (await import("../node/run-node.ts")).runPrivate(flags);
		});
}

/** This machine's processes, until SIGTERM or SIGINT. Holds no role itself, so that none can take it down. */
export async function runMachine(given: Record<string, unknown>): Promise<void> {
	const flags = await withFile(given);
	const json = flags["json"] === true || ["1", "true"].includes(process.env["WARREN_JSON"] ?? "");
	const chosen: Record<string, string> = {};
	let shown: string | null = null;
	const supervisor = await Supervisor.start(
		{ clock: systemClock, random: systemRandom },
		{
			data: dataFolderOf(flags),
			flags: () => flagsOf({ ...flags, ...chosen }),
			beside: [
				...(hasEdge(flags, process.env) ? (["edge"] as const) : []),
				...(hasJoiner(flags, process.env) ? (["joiner"] as const) : []),
			],
			onNotice: (notice) => void process.stderr.write(notice),
			onReady: ({ ready, greeting, notice }) => {
				process.stderr.write(notice);
				const { url, setupUrl } = ready as { url: string; setupUrl: string | null };
				// A port that the system chose stays this machine's, and a new setup link replaces the printed one.
				chosen["port"] = new URL(url).port;
				if (shown === null || (setupUrl !== null && setupUrl !== shown))
					process.stdout.write(json ? `${JSON.stringify({ ...ready, pid: process.pid })}\n` : greeting);
				shown = setupUrl ?? "";
			},
		},
	);
	await stopped();
	await supervisor.close();
	process.exit(0);
}

/** What the file says of the supervisor's own business. It loads no settings where there is no file: it stays small. */
async function withFile(flags: Record<string, unknown>): Promise<Record<string, unknown>> {
	if ((process.env["WARREN_CONFIG"] ?? "") === "") return flags;
	const { machinePlace } = await import("../config/server-config.ts");
	const { json, http, tlsCert } = machinePlace(flags, process.env);
	return { ...flags, json, http, tlsCert };
}

type Flags = Readonly<Record<string, unknown>>;
type Environment = Readonly<Record<string, string | undefined>>;

/** Certificates of our own making, not files or none at all. */
function hasOwnCertificates(flags: Flags, environment: Environment): boolean {
	const plain = flags["http"] === true || ["1", "true"].includes(environment["WARREN_HTTP"] ?? "");
	return !plain && (flags["tlsCert"] ?? environment["WARREN_TLS_CERT"]) === undefined;
}

/** Where the host lets it make an interface; WARREN_OVERLAY=0 does without it. */
function hasJoiner(flags: Flags, environment: Environment): boolean {
	const may = platform() === "linux" && process.getuid?.() === 0 && existsSync("/dev/net/tun");
	return may && hasOwnCertificates(flags, environment) && environment["WARREN_OVERLAY"] !== "0";
}

/** Its certificates come from the warren's CA, which the first machine holds; WARREN_EDGE=0 does without it. */
function hasEdge(flags: Flags, environment: Environment): boolean {
	const joined = existsSync(join(dataFolderOf(flags), "membership.json"));
	return hasOwnCertificates(flags, environment) && !joined && environment["WARREN_EDGE"] !== "0";
}

/** Parsed flags as arguments again. */
function flagsOf(flags: Readonly<Record<string, unknown>>): string[] {
	return Object.entries(flags).flatMap(([name, value]) => {
		const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
		if (value === undefined || value === false) return [];
		if (value === true) return [flag];
		return [flag, ...(Array.isArray(value) ? value : [value]).map(String)];
	});
}
