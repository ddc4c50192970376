import { setFlagsFromString } from "node:v8";
import type { Command } from "commander";
import { gatewaySettings, parseGatewayConfig } from "../config/gateway-config.ts";
import { type GatewayReady, openGateway } from "../gateway/gateway-role.ts";
import { withDatabaseFlags } from "./cluster-flags.ts";
import { runRole } from "./run-role.ts";
import { withVariables } from "./variables.ts";

export function addGatewayCommand(program: Command): void {
	const command = program
		.command("gateway")
		.description("Start a gateway: what warrens that federate meet at")
		.option("--data <dir>", "where registrations and queues live [WARREN_GATEWAY_DATA]")
		.option("--port <port>", "4000 unless told [PORT]")
		.option("--host <address>", "address to listen on, all unless told [WARREN_GATEWAY_HOST]")
		.option("--hostname <name...>", "answer to these names alone [WARREN_GATEWAY_HOSTNAME]")
		.option("--tls-cert <file>", "certificate, PEM, leaf first; plain HTTP without it [WARREN_TLS_CERT]")
		.option("--tls-key <file>", "its key, PEM [WARREN_TLS_KEY]")
		.option("--http", "plain HTTP, for a proxy in front that ends TLS; what it does without a certificate")
		.option("--trusted-proxy <cidr...>", "proxies whose X-Forwarded-For counts [WARREN_TRUSTED_PROXY]")
		.option("--payload-bytes <n>", "largest payload, 10240 unless told [WARREN_GATEWAY_PAYLOAD_BYTES]")
		.option("--messages-per-minute <n>", "of one mesh, 60 unless told [WARREN_GATEWAY_MESSAGES_PER_MINUTE]")
		.option("--max-connections <n>", "25000 unless told [WARREN_GATEWAY_MAX_CONNECTIONS]")
		.option("--log-level <level>", "debug, info, warn or error [WARREN_LOG_LEVEL]")
		.option("--json", "one JSON line when ready, JSON logs [WARREN_JSON]")
		.addHelpText("after", "\nWARREN_GATEWAY_INVITATION: a secret that whoever registers must show.");
	withVariables(withDatabaseFlags(command), gatewaySettings).action(async (flags: Record<string, unknown>) => {
		// A crowd that connects at once makes short-lived garbage by the megabyte; the young generation would grow for it and
		// stay so: a third of what ten thousand idle meshes cost.
		setFlagsFromString("--semi-space-growth-factor=1");
		const config = parseGatewayConfig(flags, process.env);
		await runRole("gateway", config, async (deps) => {
			const role = await openGateway(deps, config);
			return { ready: role.ready, greeting: greeting(role.ready), close: () => role.close() };
		});
	});
}

function greeting({ url, data, open }: GatewayReady): string {
	return [
		`The gateway is up at ${url}.`,
		"",
		`  Register  curl -X POST ${url}/register -H 'Content-Type: application/json' \\`,
		`              -d '{"meshId": "my-mesh", "secret": "a-strong-secret", "name": "My Mesh"${open ? "" : ', "invitation": "…"'}}'`,
		`  Connect   ${url.replace(/^http/, "ws")}/gateway`,
		`  Health    ${url}/health`,
		"",
		`Data is in ${data}. Stop with Ctrl-C.`,
		"",
	].join("\n");
}
