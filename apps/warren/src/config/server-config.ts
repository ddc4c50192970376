import { hostname } from "node:os";
import { resolve } from "node:path";
import { canonicalHost } from "@warren/net";
import { z } from "zod";
import { defaultDataFolder } from "./data-folder.ts";
import { configError, type Environment, type Flags, type RoleSettings, readSettings } from "./settings.ts";

export const portSetting = z.coerce.number().pipe(z.int().min(0).max(65535));
const list = z.array(z.string().min(1)).default([]);

/** What every server takes; a role extends it with its own port and settings. */
export const serverSchema = z.object({
	data: z.string().min(1),
	host: z.string().min(1).optional(),
	name: z.string().trim().min(1).max(63),
	http: z.boolean().default(false),
	json: z.boolean().default(false),
	tlsCert: z.string().optional(),
	tlsKey: z.string().optional(),
	hostname: list,
	trustedProxy: list,
	logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
});
export type ServerConfig = z.infer<typeof serverSchema>;
/** One that listens where it is told. */
export type ListeningConfig = ServerConfig & { readonly port: number };

/** Their environment variables. */
export const serverVariables: Readonly<Record<keyof ServerConfig, string>> = {
	data: "WARREN_DATA",
	host: "WARREN_HOST",
	name: "WARREN_NAME",
	http: "WARREN_HTTP",
	json: "WARREN_JSON",
	tlsCert: "WARREN_TLS_CERT",
	tlsKey: "WARREN_TLS_KEY",
	hostname: "WARREN_HOSTNAME",
	trustedProxy: "WARREN_TRUSTED_PROXY",
	logLevel: "WARREN_LOG_LEVEL",
};

/**
 * A server's settings, and what they must not be together.
 * @param secret what plain HTTP would send in the clear, for the refusal.
 * @throws WarrenError `bad_config`, `unsafe_config` (plain HTTP off loopback).
 */
export function parseServerConfig<S extends typeof serverSchema>(
	{ secret, ...role }: RoleSettings<S> & { readonly secret: string },
	flags: Flags,
	environment: Environment,
): z.infer<S> {
	const config = readSettings(role, flags, environment, machineDefaults(environment)) as z.infer<S> & ServerConfig;
	if (config.http) {
		config.host ??= "127.0.0.1";
		if (!isLoopback(config.host)) {
			throw configError("unsafe_config", `--http on ${config.host} would send ${secret} in the clear.`, {
				fix: "Leave out --http (TLS is on by itself), or use --host 127.0.0.1.",
			});
		}
	}
	if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
		throw configError("bad_config", "--tls-cert and --tls-key belong together, and one is missing.", {
			fix: "Give both files, or neither.",
		});
	}
	config.data = resolve(config.data);
	return config;
}

/** What this machine itself says. */
function machineDefaults(environment: Environment) {
	return { data: defaultDataFolder(environment), name: canonicalHost(hostname()).split(".")[0] };
}

const placeSchema = serverSchema.pick({
	...{ name: true, host: true, hostname: true },
	...{ json: true, http: true, tlsCert: true },
});

/** What this machine is called and where it listens, as its private process has it. */
export function machinePlace(flags: Flags, environment: Environment): z.infer<typeof placeSchema> {
	const role = { name: "node", schema: placeSchema, variables: serverVariables, isPart: true };
	return readSettings(role, flags, environment, machineDefaults(environment));
}

export function isLoopback(host: string): boolean {
	const name = canonicalHost(host);
	return name === "localhost" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}

/** Where this very machine reaches what listens on `host`, as a URL spells it; undefined = on all addresses. */
export function localHost(host: string | undefined): string {
	if (host === undefined || isLoopback(host) || host === "0.0.0.0" || host === "::") return "localhost";
	return host.includes(":") ? `[${host}]` : host;
}
