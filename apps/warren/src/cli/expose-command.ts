import { defineErrors } from "@warren/kernel";
import type { Command } from "commander";
import type { ExposedService } from "../backbone/exposed-services.ts";
import { withLocalNode } from "./local-node.ts";
import { renderTable } from "./table.ts";

const usageError = defineErrors({ bad_usage: { status: 400 } });

interface Flags {
	readonly data?: string;
	readonly json?: boolean;
	readonly public?: boolean;
	readonly off?: boolean;
}

/** `warren expose`: a port of this machine under a name of its backbone. */
export function addExposeCommand(program: Command): void {
	program
		.command("expose [name] [port]")
		.description("Give a local port a name at this machine's backbone; without arguments: what has one")
		.option("--public", "anybody reaches it, not only principals with a grant")
		.option("--off", "take the name away")
		.option("--data <dir>", "the node's data folder [WARREN_DATA]")
		.option("--json", "the result as JSON")
		.action((name: string | undefined, port: string | undefined, flags: Flags) =>
			withLocalNode(flags, async (node) => {
				const print = <T>(result: T, render: (result: T) => string) =>
					process.stdout.write(`${flags.json === true ? JSON.stringify(result) : render(result)}\n`);
				if (name === undefined) {
					print(await node.call<{ services: ExposedService[] }>("GET", "/api/exposed"), renderList);
					return;
				}
				const path = `/api/exposed/${encodeURIComponent(name)}`;
				if (flags.off === true) {
					print(await node.call<{ hidden: string }>("DELETE", path), ({ hidden }) => `${hidden} is no longer reached.`);
					return;
				}
				if (port === undefined || !/^\d{1,5}$/.test(port))
					throw usageError("bad_usage", `"${port ?? ""}" is not a port.`, {
						fix: "Give the service's port: warren expose NAME PORT, or take it away: warren expose NAME --off",
					});
				const body = { port: Number(port), public: flags.public === true };
				print(await node.call<ExposedService>("PUT", path, body), renderOne);
			}),
		);
}

function renderOne(service: ExposedService): string {
	const state =
		service.state === "online"
			? service.public
				? "Anybody who reaches this machine reaches it."
				: "Principals with a grant reach it; for everybody: --public."
			: `Not yet: ${service.reason ?? "its agent is connecting"}`;
	return `${service.url}  leads to port ${service.port} of this machine.\n${state}`;
}

function renderList({ services }: { readonly services: readonly ExposedService[] }): string {
	if (services.length === 0) return "Nothing is exposed. Give a port a name with: warren expose NAME PORT";
	return renderTable([
		["STATE", "NAME", "PORT", "WHO", "ADDRESS"],
		...services.map((each) => [
			each.state,
			each.name,
			String(each.port),
			each.public ? "anybody" : "granted",
			each.reason === null ? each.url : `${each.url}  ${each.reason}`,
		]),
	]);
}
