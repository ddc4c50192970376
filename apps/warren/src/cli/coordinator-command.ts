import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { coordinatorSettings, parseCoordinatorConfig } from "../config/coordinator-config.ts";
import { withCoordinator } from "../coordinator/coordinator-client.ts";
import { openCoordinator } from "../coordinator/coordinator-role.ts";
import { withDatabaseFlags } from "./cluster-flags.ts";
import { runRole } from "./run-role.ts";
import { renderTable } from "./table.ts";
import { withVariables } from "./variables.ts";

interface ClientFlags {
	readonly coordinator?: string;
	readonly tlsCert?: string;
	readonly tlsKey?: string;
	readonly tlsCa?: string;
	readonly json?: boolean;
}

/** `warren coordinator`: the role, and the administrator's words to one that runs. */
export function addCoordinatorCommand(program: Command): void {
	const coordinator = program
		.command("coordinator")
		.description("The overlay's control plane: who is in, who sees whom")
		.option("--bind <address:port>", "where to listen, 0.0.0.0:8888 unless told [WARREN_COORDINATOR_BIND]")
		.option("--host <address>", "address to listen on")
		.option("--port <port>", "port to listen on")
		.option("--data <dir>", "keep state there; in memory unless told [WARREN_COORDINATOR_DATA]")
		.option("--tls-cert <file>", "its certificate, PEM [WARREN_COORDINATOR_TLS_CERT]")
		.option("--tls-key <file>", "its key, PEM [WARREN_COORDINATOR_TLS_KEY]")
		.option("--tls-ca <file>", "the only CA whose machines it admits [WARREN_COORDINATOR_TLS_CA]")
		.option("--tls-crl <file>", "that CA's revocation list; read again when it changes [WARREN_COORDINATOR_TLS_CRL]")
		.option("--policy-file <file>", "who may reach whom; nobody anybody unless told [WARREN_POLICY_FILE]")
		.option("--auth-url <url>", "who checks join tokens [AUTH_URL, WARREN_AUTH_URL]")
		.option("--auth-ca <file>", "its CA, where it is a private one [WARREN_AUTH_CA]")
		.option("--join-tokens <file>", "join tokens from a file instead [WARREN_JOIN_TOKENS]")
		.option("--default-tag <tag...>", "tags of machines whose certificates name none")
		.option("--hostname <name...>", "further names by which it may be called")
		.option("--trusted-proxy <cidr...>", "proxies whose X-Forwarded-For counts")
		.option("--stun-port <port>", "UDP port of its STUN server, 3478 unless told, and the next [WARREN_STUN_PORT]")
		.option("--no-stun", "no STUN server")
		.option("--insecure-no-mtls", "plain HTTP, no certificates; needs WARREN_ALLOW_INSECURE=1 as well")
		.option("--log-level <level>", "debug, info, warn or error [WARREN_LOG_LEVEL]")
		.option("--json", "one JSON line when ready, JSON logs");
	withVariables(withDatabaseFlags(coordinator), coordinatorSettings).action(async (flags: Record<string, unknown>) => {
		const config = parseCoordinatorConfig(flags, process.env);
		await runRole("coordinator", config, (deps) => openCoordinator(deps, config));
	});
	const asClient = (command: Command) =>
		command
			.option("--coordinator <url>", "which one [WARREN_COORDINATOR]")
			.option("--tls-cert <file>", "a certificate of its CA")
			.option("--tls-key <file>", "the key")
			.option("--tls-ca <file>", "the CA")
			.option("--json", "the result as JSON");
	const flagsOf = (command: Command) => command.optsWithGlobals<ClientFlags>();

	asClient(
		coordinator.command("peers").description("Peers, as an administrator sees them (WARREN_ADMIN_TOKEN)"),
	).action((_flags: ClientFlags, command: Command) =>
		withCoordinator(flagsOf(command), async (client) => {
			const topology = await client.call<{
				peers: {
					peer_id: string;
					display_name: string;
					ula: string;
					tags: string[];
					connectivity: string;
					endpoint?: string;
				}[];
			}>("GET", "/v1/mesh/topology");
			const rows = topology.peers.map((each) => [
				each.display_name,
				each.ula,
				each.tags.join(","),
				each.connectivity,
				each.endpoint ?? "-",
				each.peer_id,
			]);
			print(command, topology, renderTable([["NAME", "ADDRESS", "TAGS", "PATH", "ENDPOINT", "ID"], ...rows]));
		}),
	);
	asClient(coordinator.command("remove <peer>").description("Remove a machine for good, by its id")).action(
		(peer: string, _flags: ClientFlags, command: Command) =>
			withCoordinator(flagsOf(command), async (client) => {
				await client.call("DELETE", `/v1/mesh/peers/${encodeURIComponent(peer)}`);
				print(
					command,
					{ removed: peer },
					`${peer} is removed and stays so; let it back in with: warren coordinator readmit ${peer}`,
				);
			}),
	);
	asClient(coordinator.command("readmit <peer>").description("Let a removed machine join again")).action(
		(peer: string, _flags: ClientFlags, command: Command) =>
			withCoordinator(flagsOf(command), async (client) => {
				await client.call("POST", `/v1/mesh/peers/${encodeURIComponent(peer)}/readmit`);
				print(command, { readmitted: peer }, `${peer} may register again.`);
			}),
	);
	asClient(
		coordinator
			.command("explain <from> <to>")
			.description("Why one peer can or cannot reach another; TO may end in :PORT"),
	)
		.option("--proto <protocol>", "tcp, udp or icmp", "tcp")
		.action((from: string, to: string, flags: ClientFlags & { proto: string }, command: Command) =>
			withCoordinator(flagsOf(command), async (client) => {
				const [, name = to, port] = /^(.+?):(\d{1,5})$/.exec(to) ?? [];
				const query = new URLSearchParams({
					from,
					to: name,
					proto: flags.proto,
					...(port === undefined ? {} : { port }),
				});
				const why = await client.call<{ reason: string }>("GET", `/v1/policy/explain?${query}`);
				print(command, why, why.reason);
			}),
		);
	const policy = coordinator.command("policy").description("Read, try and replace the policy");
	asClient(policy.command("get").description("Print it")).action((_flags: ClientFlags, command: Command) =>
		withCoordinator(flagsOf(command), async (client) => {
			const { text, etag } = await client.text("GET", "/v1/policy");
			print(command, { policy: JSON.parse(text) as unknown, etag }, text);
		}),
	);
	asClient(
		policy
			.command("preview <file>")
			.description("Which pairs of peers, and which ports between them, a policy would gain and lose"),
	).action((file: string, _flags: ClientFlags, command: Command) =>
		withCoordinator(flagsOf(command), async (client) => {
			const { text } = await client.text("POST", "/v1/policy/preview", readFileSync(file, "utf8"));
			const change = JSON.parse(text) as {
				gained: string[][];
				lost: string[][];
				gainedCount: number;
				lostCount: number;
				ports: { from: string; to: string; both: boolean; gained: string[]; lost: string[] }[];
				portsCount: number;
			};
			const lines = [
				...change.gained.map((pair) => `+ ${pair.join(" ↔ ")}`),
				...change.lost.map((pair) => `- ${pair.join(" ↔ ")}`),
				...(change.ports ?? []).flatMap(({ from, to, both, gained, lost }) => {
					const pair = `${from} ${both ? "↔" : "→"} ${to}`;
					return [...gained.map((each) => `+ ${pair}: ${each}`), ...lost.map((each) => `- ${pair}: ${each}`)];
				}),
			];
			const sum = `${change.gainedCount} pairs gained, ${change.lostCount} lost, ports changed between ${change.portsCount ?? 0}`;
			print(command, change, [...lines, sum].join("\n"));
		}),
	);
	asClient(
		policy.command("set <file>").description("Replace it, unless somebody else has meanwhile; its own tests must pass"),
	).action((file: string, _flags: ClientFlags, command: Command) =>
		withCoordinator(flagsOf(command), async (client) => {
			const wanted = readFileSync(file, "utf8");
			const { etag } = await client.text("GET", "/v1/policy");
			const done = await client.text("PUT", "/v1/policy", wanted, { "if-match": etag });
			print(command, { etag: done.etag }, `The policy is ${done.etag} now.`);
		}),
	);
}

function print(command: Command, value: object, text: string): void {
	process.stdout.write(
		command.optsWithGlobals<ClientFlags>().json === true ? `${JSON.stringify(value)}\n` : `${text}\n`,
	);
}
