import { countBuffersAsHeap } from "@warren/net";
import { type Command, Option } from "commander";
import { openBackboneRole } from "../backbone/backbone-role.ts";
import { parseBackboneConfig } from "../config/backbone-config.ts";
import { withClusterFlags } from "./cluster-flags.ts";
import { runRole } from "./run-role.ts";

/** `warren backbone`, and what its services and clients use: `agent`, `forward`, `whoami --service`. */
export function addBackboneCommands(program: Command): void {
	const command = program
		.command("backbone")
		.description("Start the backbone alone: reverse tunnel, principals, grants, signed identity")
		.option("--data <dir>", "where state lives [WARREN_DATA]")
		.option("--port <port>", "port for clients and agents, 5152 unless told [WARREN_BACKBONE_PORT]")
		.option("--host <address>", "address to listen on, all unless told [WARREN_HOST]")
		.option("--domain <domain>", "services are SERVICE.DOMAIN; localhost unless told [WARREN_BACKBONE_DOMAIN]")
		.option("--hostname <name...>", "further names of the backbone itself [WARREN_HOSTNAME]")
		.option("--public-url <url>", "how clients reach it, behind a proxy [WARREN_BACKBONE_URL]")
		.option("--tls-cert <file>", "own certificate, PEM, leaf first [WARREN_TLS_CERT]")
		.option("--tls-key <file>", "its key, PEM [WARREN_TLS_KEY]")
		.option("--acme", "certificates of a public authority, whose terms you accept by this [WARREN_BACKBONE_ACME]")
		.option("--acme-email <address>", "where it writes when one is about to end [WARREN_BACKBONE_ACME_EMAIL]")
		.option("--acme-directory <url>", "another authority than Let's Encrypt [WARREN_BACKBONE_ACME_DIRECTORY]")
		.option("--acme-http-port <port>", "prove names over HTTP on this port [WARREN_BACKBONE_ACME_HTTP_PORT]")
		.option("--acme-dns-hook <program>", "sets DNS records: one wildcard certificate [WARREN_BACKBONE_ACME_DNS_HOOK]")
		.option("--http", "plain HTTP, on loopback only [WARREN_HTTP]")
		.option("--trusted-proxy <cidr...>", "proxies whose X-Forwarded-For counts [WARREN_TRUSTED_PROXY]")
		.option("--stream-ports <first-last>", "ports for TCP and UDP services [WARREN_BACKBONE_STREAM_PORTS]")
		.option("--approve-principals", "who registers waits for approval [WARREN_BACKBONE_APPROVE_PRINCIPALS]")
		.option("--log-level <level>", "debug, info, warn or error [WARREN_LOG_LEVEL]")
		.option("--cluster-url <url>", "where the other nodes of a cluster reach this one [WARREN_CLUSTER_URL]")
		.addOption(new Option("--json", "one JSON line when ready, JSON logs [WARREN_JSON]"));
	withClusterFlags(command).action(async (flags: Record<string, unknown>) => {
		const config = parseBackboneConfig(flags, process.env);
		countBuffersAsHeap();
		await runRole("backbone", config, async (deps) => {
			const role = await openBackboneRole(deps, config);
			if (role.adminToken !== null) process.stderr.write(`Admin token ${role.adminToken}  (shown this once)\n`);
			const { ready } = role;
			return {
				ready,
				greeting: `The backbone is up.\n\n  API         ${ready.url}\n  Services    ${ready.url.replace("//", "//SERVICE.")}\n\nData is in ${ready.data}. Stop with Ctrl-C.\n`,
				close: () => role.close(),
			};
		});
	});
}
