import { resolve } from "node:path";
import { tagPattern } from "@warren/overlay";
import { z } from "zod";
import { type DatabaseConfig, databaseFields, databaseVariables, parseDatabase } from "./cluster-config.ts";
import { isLoopback } from "./server-config.ts";
import { configError, readSettings } from "./settings.ts";

const port = z.coerce.number().pipe(z.int().min(0).max(65535));
const schema = z.object({
	data: z.string().min(1).optional(),
	/** ADDRESS:PORT, instead of both. */
	bind: z.string().optional(),
	host: z.string().min(1).default("0.0.0.0"),
	port: port.default(8888),
	tlsCert: z.string().optional(),
	tlsKey: z.string().optional(),
	tlsCa: z.string().optional(),
	tlsCrl: z.string().optional(),
	policyFile: z.string().optional(),
	authUrl: z.url({ protocol: /^https?$/ }).optional(),
	authCa: z.string().optional(),
	joinTokens: z.string().optional(),
	adminToken: z.string().min(16).optional(),
	defaultTag: z.array(z.string().regex(tagPattern)).default([]),
	hostname: z.array(z.string().min(1)).default([]),
	trustedProxy: z.array(z.string().min(1)).default([]),
	insecure: z.boolean().default(false),
	stunPort: port.default(3478),
	stun: z.boolean().default(true),
	json: z.boolean().default(false),
	logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
	...databaseFields,
});

type Settings = z.infer<typeof schema>;
export type CoordinatorConfig = Omit<Settings, "bind"> & {
	/** Where this instance shares its state with another; null = it has its own. */
	readonly shared: DatabaseConfig | null;
};

/** Each field's environment variables, the first that is set counts; the original's own names beside ours. */
const variables: Readonly<Record<keyof Settings, string | readonly string[]>> = {
	data: "WARREN_COORDINATOR_DATA",
	bind: "WARREN_COORDINATOR_BIND",
	host: "WARREN_COORDINATOR_HOST",
	port: "WARREN_COORDINATOR_PORT",
	tlsCert: "WARREN_COORDINATOR_TLS_CERT",
	tlsKey: "WARREN_COORDINATOR_TLS_KEY",
	tlsCa: "WARREN_COORDINATOR_TLS_CA",
	tlsCrl: "WARREN_COORDINATOR_TLS_CRL",
	policyFile: "WARREN_POLICY_FILE",
	authUrl: ["AUTH_URL", "WARREN_AUTH_URL"],
	authCa: "WARREN_AUTH_CA",
	joinTokens: "WARREN_JOIN_TOKENS",
	adminToken: "WARREN_ADMIN_TOKEN",
	defaultTag: "WARREN_COORDINATOR_DEFAULT_TAG",
	hostname: "WARREN_COORDINATOR_HOSTNAME",
	trustedProxy: "WARREN_COORDINATOR_TRUSTED_PROXY",
	insecure: "WARREN_COORDINATOR_INSECURE",
	stunPort: "WARREN_STUN_PORT",
	stun: "WARREN_STUN",
	json: "WARREN_JSON",
	logLevel: "WARREN_LOG_LEVEL",
	...databaseVariables,
};

export const coordinatorSettings = {
	name: "coordinator",
	schema,
	variables,
	secrets: ["adminToken"],
	renamed: { insecureNoMtls: "insecure" },
} as const;

/**
 * The coordinator's settings.
 * @throws WarrenError `bad_config`, `unsafe_config` (no certificates without both signs that this is meant).
 */
export function parseCoordinatorConfig(
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
): CoordinatorConfig {
	const { bind, ...settings } = readSettings(coordinatorSettings, flags, environment);
	const config = { ...settings, ...(bind === undefined ? {} : splitBind(bind)) };
	const given = [config.tlsCert, config.tlsKey, config.tlsCa].filter((file) => file !== undefined).length;
	if (config.insecure) {
		if (environment["WARREN_ALLOW_INSECURE"] !== "1" && environment["TABBIFY_ALLOW_INSECURE"] !== "1") {
			throw configError("unsafe_config", "--insecure-no-mtls lets whoever reaches this port be any peer.", {
				fix: "Give --tls-cert, --tls-key and --tls-ca. For development alone, set WARREN_ALLOW_INSECURE=1 as well.",
			});
		}
		if (given > 0)
			throw configError("bad_config", "--insecure-no-mtls and certificate files exclude each other.", {
				fix: "Leave out one of the two.",
			});
	} else if (given !== 3) {
		throw configError(
			"bad_config",
			"The coordinator needs --tls-cert, --tls-key and --tls-ca, and not all are given.",
			{
				fix: "Make them with: warren ca init --out DIR --host ADDRESS, then warren ca issue-peer --host ADDRESS",
			},
		);
	}
	if (config.authUrl !== undefined && config.joinTokens !== undefined)
		throw configError("bad_config", "--auth-url and --join-tokens exclude each other.", {
			fix: "Leave out one of the two.",
		});
	if (config.authUrl?.startsWith("http:") === true && !isLoopback(new URL(config.authUrl).hostname) && !config.insecure)
		throw configError("unsafe_config", `--auth-url ${config.authUrl} would send join tokens in the clear.`, {
			fix: "Use https, or an authority on this machine.",
		});
	const shared = parseDatabase(config, flags);
	return { ...config, ...(config.data === undefined ? {} : { data: resolve(config.data) }), shared };
}

/** Where its state is, in a folder and in a database, for who moves it; it serves nothing. @throws WarrenError `bad_config`. */
export function parseCoordinatorPlaces(
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
): Pick<CoordinatorConfig, "data" | "shared" | "json"> {
	const settings = readSettings(coordinatorSettings, flags, environment);
	return {
		...(settings.data === undefined ? {} : { data: resolve(settings.data) }),
		json: settings.json,
		shared: parseDatabase({ ...settings, host: "127.0.0.1" }, flags),
	};
}

function splitBind(bind: string): { host: string; port: number } {
	const match = /^(?:\[([^\]]+)\]|([^:]*)):(\d{1,5})$/.exec(bind.trim());
	if (match === null || Number(match[3]) > 65_535)
		throw configError("bad_config", `--bind ${bind} is not ADDRESS:PORT.`, { fix: "For example: --bind 0.0.0.0:8888" });
	return { host: match[1] ?? (match[2] === "" ? "0.0.0.0" : (match[2] as string)), port: Number(match[3]) };
}
