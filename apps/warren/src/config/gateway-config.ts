import { resolve } from "node:path";
import { z } from "zod";
import { type DatabaseConfig, databaseFields, databaseVariables, parseDatabase } from "./cluster-config.ts";
import { defaultDataFolder } from "./data-folder.ts";
import { configError, readSettings } from "./settings.ts";

const count = (max: number) => z.coerce.number().pipe(z.int().min(1).max(max));

const gatewaySchema = z.object({
	data: z.string().min(1),
	/** All of this machine's unless told. */
	host: z.string().min(1).optional(),
	port: z.coerce.number().pipe(z.int().min(0).max(65535)).default(4000),
	/** Exact names that it answers to; none = any, as in a container behind a proxy. */
	hostname: z.array(z.string().min(1)).default([]),
	tlsCert: z.string().optional(),
	tlsKey: z.string().optional(),
	http: z.boolean().default(false),
	trustedProxy: z.array(z.string().min(1)).default([]),
	/** A secret: whoever registers must show it. */
	invitation: z.string().min(8).optional(),
	/** A secret: opens the audit. */
	adminToken: z.string().min(16).optional(),
	payloadBytes: count(1024 * 1024).default(10_240),
	messagesPerMinute: count(10_000_000).default(60),
	maxConnections: count(200_000).default(25_000),
	json: z.boolean().default(false),
	logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
	...databaseFields,
});

type Settings = z.infer<typeof gatewaySchema>;
export type GatewayConfig = Settings & {
	/** Where this instance shares its state with others; null = it has a file of its own. */
	readonly shared: DatabaseConfig | null;
};

/** Every flag's environment variable; secrets have no flag, because others of this machine could read it. */
const variables: Readonly<Record<keyof Settings, string>> = {
	data: "WARREN_GATEWAY_DATA",
	host: "WARREN_GATEWAY_HOST",
	port: "PORT",
	hostname: "WARREN_GATEWAY_HOSTNAME",
	tlsCert: "WARREN_TLS_CERT",
	tlsKey: "WARREN_TLS_KEY",
	http: "WARREN_HTTP",
	trustedProxy: "WARREN_TRUSTED_PROXY",
	invitation: "WARREN_GATEWAY_INVITATION",
	adminToken: "WARREN_GATEWAY_ADMIN_TOKEN",
	payloadBytes: "WARREN_GATEWAY_PAYLOAD_BYTES",
	messagesPerMinute: "WARREN_GATEWAY_MESSAGES_PER_MINUTE",
	maxConnections: "WARREN_GATEWAY_MAX_CONNECTIONS",
	json: "WARREN_JSON",
	logLevel: "WARREN_LOG_LEVEL",
	...databaseVariables,
};

export const gatewaySettings = {
	name: "gateway",
	schema: gatewaySchema,
	variables,
	secrets: ["invitation", "adminToken"],
} as const;

/**
 * The gateway's settings. Plain HTTP unless a certificate is given, as in the
 * original: a proxy in front ends TLS.
 * @throws WarrenError `bad_config`.
 */
export function parseGatewayConfig(
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
): GatewayConfig {
	const data = `${defaultDataFolder(environment)}-gateway`;
	const config = readSettings(gatewaySettings, flags, environment, { data });
	if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
		throw configError("bad_config", "--tls-cert and --tls-key belong together, and one is missing.", {
			fix: "Give both files, or neither.",
		});
	}
	if (config.http && config.tlsCert !== undefined)
		throw configError("bad_config", "--http and --tls-cert contradict each other.", { fix: "Leave one out." });
	return { ...config, data: resolve(config.data), shared: parseDatabase(config, flags) };
}
