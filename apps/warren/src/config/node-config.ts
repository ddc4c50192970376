import { hostname, userInfo } from "node:os";
import { resolve } from "node:path";
import { defineErrors, parseConfig } from "@warren/kernel";
import { canonicalHost } from "@warren/net";
import { z } from "zod";
import { defaultDataFolder } from "./data-folder.ts";

const configError = defineErrors({ unsafe_config: { status: 500 }, bad_config: { status: 500 } });

const port = z.coerce.number().pipe(z.int().min(0).max(65535));
const list = z.array(z.string().min(1)).default([]);

const nodeSchema = z.object({
	data: z.string().min(1),
	host: z.string().min(1).optional(),
	port: port.default(5151),
	name: z.string().trim().min(1).max(63),
	http: z.boolean().default(false),
	json: z.boolean().default(false),
	tlsCert: z.string().optional(),
	tlsKey: z.string().optional(),
	hostname: list,
	trustedProxy: list,
	logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
	peerPort: port.default(5151),
	/** Of the sidecar, on loopback. */
	sidecarPort: port.default(3913),
	uploadLimitBytes: z.coerce
		.number()
		.pipe(z.int().min(1))
		.default(1024 ** 3),
	tailscale: z.string().min(1).default("tailscale"),
	user: z.string().optional(),
	pin: z.string().optional(),
	webFolder: z.string().optional(),
	/** This warren at a gateway; without both it is what was registered with POST /api/gateway/register. */
	meshId: z.string().min(1).max(64).optional(),
	meshSecret: z.string().min(1).max(256).optional(),
	meshGatewayUrl: z.url({ protocol: /^wss?$/, error: "must be ws://… or wss://…" }).optional(),
});

export type NodeConfig = z.infer<typeof nodeSchema>;

/** Every flag's environment variable. Nothing else reads the environment. */
const variables: Readonly<Record<keyof NodeConfig, string>> = {
	data: "WARREN_DATA",
	host: "WARREN_HOST",
	port: "WARREN_PORT",
	name: "WARREN_NAME",
	http: "WARREN_HTTP",
	json: "WARREN_JSON",
	tlsCert: "WARREN_TLS_CERT",
	tlsKey: "WARREN_TLS_KEY",
	hostname: "WARREN_HOSTNAME",
	trustedProxy: "WARREN_TRUSTED_PROXY",
	logLevel: "WARREN_LOG_LEVEL",
	peerPort: "WARREN_PEER_PORT",
	sidecarPort: "WARREN_SIDECAR_PORT",
	uploadLimitBytes: "WARREN_UPLOAD_LIMIT_BYTES",
	tailscale: "WARREN_TAILSCALE",
	user: "WARREN_USER",
	pin: "WARREN_PIN",
	webFolder: "WARREN_WEB",
	meshId: "MESH_ID",
	meshSecret: "MESH_SECRET",
	meshGatewayUrl: "MESH_GATEWAY_URL",
};

/**
 * The node's settings: flags, else environment, else defaults.
 * @throws WarrenError `bad_config`, `unsafe_config` (plain HTTP off loopback).
 */
export function parseNodeConfig(
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
): NodeConfig {
	const input: Record<string, unknown> = {
		data: defaultDataFolder(environment),
		name: canonicalHost(hostname()).split(".")[0],
	};
	for (const [field, variable] of Object.entries(variables)) {
		const fromEnvironment = environment[variable];
		if (fromEnvironment !== undefined && fromEnvironment !== "") input[field] = fromVariable(field, fromEnvironment);
		if (flags[field] !== undefined) input[field] = flags[field];
	}
	const config = parseConfig(nodeSchema, input, "node");
	if (config.http) {
		config.host ??= "127.0.0.1";
		if (!isLoopback(config.host)) {
			throw configError("unsafe_config", `--http on ${config.host} would send PINs and terminals in the clear.`, {
				fix: "Leave out --http (TLS is on by itself), or use --host 127.0.0.1.",
			});
		}
	}
	if ((config.tlsCert === undefined) !== (config.tlsKey === undefined)) {
		throw configError("bad_config", "--tls-cert and --tls-key belong together, and one is missing.", {
			fix: "Give both files, or neither.",
		});
	}
	if ((config.pin !== undefined || config.user !== undefined) && config.pin === undefined) {
		throw configError("bad_config", "WARREN_USER is set without WARREN_PIN.", { fix: "Set both, or neither." });
	}
	if ((config.meshId === undefined) !== (config.meshSecret === undefined)) {
		throw configError("bad_config", "MESH_ID and MESH_SECRET belong together, and one is missing.", {
			fix: "Set both, or neither.",
		});
	}
	return { ...config, data: resolve(config.data) };
}

function fromVariable(field: string, text: string): unknown {
	if (field === "http" || field === "json") return text === "1" || text === "true";
	if (field === "hostname" || field === "trustedProxy")
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

/** The operating system's name of whoever runs this. */
export function systemUser(): string {
	try {
		return userInfo().username;
	} catch {
		// No entry in the user table (containers): any name serves.
		return "owner";
	}
}
