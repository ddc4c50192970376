import { defineErrors } from "@warren/kernel";
import type { Command } from "commander";
import type { ExposedService } from "../backbone/exposed-services.ts";
import type { ExposedKind } from "../backbone/service-desk.ts";
import { withLocalNode } from "./local-node.ts";
import { renderTable } from "./table.ts";

const usageError = defineErrors({ bad_usage: { status: 400 } });

interface Flags {
	readonly data?: string;
	readonly json?: boolean;
	readonly public?: boolean;
	readonly h2?: boolean;
	readonly tcp?: boolean;
	readonly udp?: boolean;
	readonly grant?: readonly string[];
	readonly off?: boolean;
}

/** `warren expose`: a port of this machine under a name of its warren's backbone. */
export function addExposeCommand(program: Command): void {
	program
		.command("expose [name] [port]")
		.description("Give a local port a name at the warren's backbone; without arguments: what has one")
		.option("--public", "anybody reaches it, not only principals with a grant")
		.option("--grant <principal...>", "principals that may reach it, beside those that may already")
		.option("--h2", "the service speaks HTTP/2 without TLS, as gRPC does")
		.option("--tcp", "plain TCP instead of HTTP; without --public it is reached with: warren forward")
		.option("--udp", "UDP instead of HTTP; without --public it is reached with: warren forward")
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
				const body = {
					port: Number(port),
					public: flags.public === true,
					kind: kindOf(flags),
					grant: flags.grant ?? [],
				};
				print(await node.call<ExposedService>("PUT", path, body), renderOne);
			}),
		);
}

/** @throws WarrenError `bad_usage` when two are named. */
function kindOf(flags: Flags): ExposedKind {
	const named = (["h2", "tcp", "udp"] as const).filter((kind) => flags[kind] === true);
	if (named.length > 1)
		throw usageError(
			"bad_usage",
			`A service is of one kind, not of ${named.map((kind) => `--${kind}`).join(" and ")}.`,
			{
				fix: "Give a second port of the machine a name of its own, or leave one of them out.",
			},
		);
	return named[0] ?? "http";
}

function renderOne(service: ExposedService): string {
	const granted = isStream(service)
		? `Principals with a grant reach it: warren forward ${service.name} PORT; for everybody: --public.`
		: "Principals with a grant reach it; for everybody: --public.";
	const state =
		service.state === "online"
			? service.public
				? "Anybody who reaches the first machine reaches it."
				: granted
			: `Not yet: ${service.reason ?? "its agent is connecting"}`;
	return [
		`${isStream(service) && !service.public ? service.name : service.url}  leads to port ${service.port} of this machine.`,
		state,
		...(service.target === "up" ? [] : [`Nothing listens on port ${service.port} yet: start the service.`]),
		...(service.overlay === null
			? []
			: [`On the private network: ${overlayOf(service.overlay)}${addressOf(service.overlay)}`]),
	].join("\n");
}

function isStream({ kind }: ExposedService): boolean {
	return kind === "tcp" || kind === "udp";
}

type Overlay = NonNullable<ExposedService["overlay"]>;

function overlayOf({ address, port, host }: Overlay): string {
	return `${host ?? `[${address}]`}:${port}`;
}

/** Beside the name: for machines whose system asks elsewhere for names. */
function addressOf({ address, port, host }: Overlay): string {
	return host === null ? "" : `, which is [${address}]:${port}`;
}

function renderList({ services }: { readonly services: readonly ExposedService[] }): string {
	if (services.length === 0) return "Nothing is exposed. Give a port a name with: warren expose NAME PORT";
	return renderTable([
		["STATE", "NAME", "KIND", "PORT", "WHO", "ADDRESS", "OVERLAY"],
		...services.map((each) => [
			each.target === "down" && each.state === "online" ? "no service" : each.state,
			each.name,
			each.kind,
			String(each.port),
			each.public ? "anybody" : "granted",
			each.reason === null ? each.url : `${each.url}  ${each.reason}`,
			each.overlay === null ? "-" : overlayOf(each.overlay),
		]),
	]);
}
