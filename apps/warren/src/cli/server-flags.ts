import { type Command, Option } from "commander";

/** Flags of every server; each has its environment variable (`parseServerConfig`). */
export function withServerFlags(command: Command, port: string): Command {
	return command
		.option("--data <dir>", "where state lives [WARREN_DATA]")
		.option("--port <port>", port)
		.option("--host <address>", "address to listen on, all unless told [WARREN_HOST]")
		.option("--name <name>", "this machine's name [WARREN_NAME]")
		.option("--hostname <name...>", "further names by which it may be called [WARREN_HOSTNAME]")
		.option("--tls-cert <file>", "own certificate, PEM, leaf first [WARREN_TLS_CERT]")
		.option("--tls-key <file>", "its key, PEM [WARREN_TLS_KEY]")
		.option("--http", "plain HTTP, on loopback only [WARREN_HTTP]")
		.option("--trusted-proxy <cidr...>", "proxies whose X-Forwarded-For counts [WARREN_TRUSTED_PROXY]")
		.option("--log-level <level>", "debug, info, warn or error [WARREN_LOG_LEVEL]")
		.addOption(new Option("--json", "one JSON line when ready, JSON logs [WARREN_JSON]"));
}
