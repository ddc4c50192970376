import type { Command } from "commander";

/** The flags of a server that shares its state with other instances of its role. */
export function withClusterFlags(command: Command): Command {
	return command
		.option("--database <url>", "PostgreSQL that several instances share: postgres://user@host/name [WARREN_DATABASE]")
		.option("--database-password-file <file>", "its password [WARREN_DATABASE_PASSWORD_FILE]")
		.option("--database-ca <file>", "PEM of the CA of its certificate: TLS [WARREN_DATABASE_CA]")
		.option("--nats <urls>", "NATS that connects the instances: nats://host,nats://host [WARREN_NATS]")
		.option("--nats-password-file <file>", "its password [WARREN_NATS_PASSWORD_FILE]")
		.option("--nats-ca <file>", "PEM of the CA of its certificate: TLS [WARREN_NATS_CA]")
		.option("--plain-backends", "both without TLS, on a network that is private already [WARREN_PLAIN_BACKENDS]");
}

/** Of a role of whose instances one leads: the database alone. */
export function withDatabaseFlags(command: Command): Command {
	return command
		.option("--database <url>", "PostgreSQL that several instances share: postgres://user@host/name [WARREN_DATABASE]")
		.option("--database-password-file <file>", "its password [WARREN_DATABASE_PASSWORD_FILE]")
		.option("--database-ca <file>", "PEM of the CA of its certificate: TLS [WARREN_DATABASE_CA]")
		.option("--plain-backends", "without TLS, on a network that is private already [WARREN_PLAIN_BACKENDS]")
		.option("--cluster-address <address:port>", "where the other instances reach this one [WARREN_CLUSTER_ADDRESS]");
}
