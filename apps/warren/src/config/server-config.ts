import { hostname } from "node:os";
import { resolve } from "node:path";
import { defineErrors, parseConfig } from "@warren/kernel";
import { canonicalHost } from "@warren/net";
import { z } from "zod";
import { defaultDataFolder } from "./data-folder.ts";

export const configError = defineErrors({ unsafe_config: { status: 500 }, bad_config: { status: 500 } });

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

const switches = new Set(["http", "json", "workspaces", "plainBackends", "attached"]);
const lists = new Set(["hostname", "trustedProxy"]);

/**
 * A server's settings: flags, else environment, else defaults. Nothing else reads the environment.
 * @param secrets what plain HTTP would send in the clear, for the refusal.
 * @throws WarrenError `bad_config`, `unsafe_config` (plain HTTP off loopback).
 */
export function parseServerConfig<S extends z.ZodType<ServerConfig>>(
	role: { readonly name: string; readonly schema: S; readonly secrets: string },
	variables: Readonly<Record<string, string>>,
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
): z.infer<S> {
	const input: Record<string, unknown> = {
		data: defaultDataFolder(environment),
		name: canonicalHost(hostname()).split(".")[0],
	};
	for (const [field, variable] of Object.entries(variables)) {
		const fromEnvironment = environment[variable];
		if (fromEnvironment !== undefined && fromEnvironment !== "") input[field] = fromVariable(field, fromEnvironment);
		if (flags[field] !== undefined) input[field] = flags[field];
	}
	const config = parseConfig(role.schema, input, role.name);
	if (config.http) {
		config.host ??= "127.0.0.1";
		if (!isLoopback(config.host)) {
			throw configError("unsafe_config", `--http on ${config.host} would send ${role.secrets} in the clear.`, {
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

function fromVariable(field: string, text: string): unknown {
	if (switches.has(field)) return text === "1" || text === "true";
	if (lists.has(field))
		return text
			.split(",")
			.map((each) => each.trim())
			.filter((each) => each !== "");
	return text;
}

export function isLoopback(host: string): boolean {
	const name = canonicalHost(host);
	return name === "localhost" || name === "::1" || /^127(\.\d{1,3}){3}$/.test(name);
}
