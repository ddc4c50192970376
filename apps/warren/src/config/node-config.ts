import { userInfo } from "node:os";
import { readSocialVariables, type SocialProviders } from "@warren/accounts";
import { z } from "zod";
import { type AiConfig, parseAiConfig } from "./ai-config.ts";
import { backboneDomain } from "./backbone-config.ts";
import { parseServerConfig, portSetting, serverSchema, serverVariables } from "./server-config.ts";
import { configError } from "./settings.ts";

const nodeSchema = serverSchema.extend({
	port: portSetting.default(5151),
	peerPort: portSetting.default(5151),
	/** Of the sidecar, on loopback. */
	sidecarPort: portSetting.default(3913),
	/** Whether the hub's own origin serves workspaces too. */
	workspaces: z.boolean().default(false),
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
	/** The coding agent's program, where it is not found by itself. */
	opencode: z.string().min(1).optional(),
	/** Of the backbone in this machine's edge process, whose certificate this one makes. */
	backboneDomain,
});

type Settings = z.infer<typeof nodeSchema>;
export type NodeConfig = Settings & {
	readonly ai: AiConfig;
	/** Of the hub beside it: sign-in by other services' accounts. */
	readonly social: SocialProviders;
};

/** Every flag's environment variable. */
const variables: Readonly<Record<keyof Settings, string>> = {
	...serverVariables,
	port: "WARREN_PORT",
	peerPort: "WARREN_PEER_PORT",
	sidecarPort: "WARREN_SIDECAR_PORT",
	workspaces: "WARREN_WORKSPACES",
	uploadLimitBytes: "WARREN_UPLOAD_LIMIT_BYTES",
	tailscale: "WARREN_TAILSCALE",
	user: "WARREN_USER",
	pin: "WARREN_PIN",
	webFolder: "WARREN_WEB",
	meshId: "MESH_ID",
	meshSecret: "MESH_SECRET",
	meshGatewayUrl: "MESH_GATEWAY_URL",
	opencode: "WARREN_OPENCODE",
	backboneDomain: "WARREN_BACKBONE_DOMAIN",
};

export const nodeSettings = { name: "node", schema: nodeSchema, variables, secrets: ["pin", "meshSecret"] } as const;

/**
 * The node's settings.
 * @throws WarrenError `bad_config`, `unsafe_config` (plain HTTP off loopback).
 */
export function parseNodeConfig(
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
): NodeConfig {
	const config = parseServerConfig({ ...nodeSettings, secret: "PINs and terminals" }, flags, environment);
	if (config.user !== undefined && config.pin === undefined)
		throw configError("bad_config", "WARREN_USER is set without WARREN_PIN.", { fix: "Set both, or neither." });
	if ((config.meshId === undefined) !== (config.meshSecret === undefined)) {
		throw configError("bad_config", "MESH_ID and MESH_SECRET belong together, and one is missing.", {
			fix: "Set both, or neither.",
		});
	}
	return { ...config, ai: parseAiConfig(environment), social: readSocialVariables(environment, "node") };
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
