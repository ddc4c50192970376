import { readSocialVariables, type SocialProviders } from "@warren/accounts";
import { z } from "zod";
import { type AiConfig, parseAiConfig } from "./ai-config.ts";
import { type ClusterConfig, clusterFields, clusterVariables, parseCluster } from "./cluster-config.ts";
import { parseServerConfig, portSetting, serverSchema, serverVariables } from "./server-config.ts";

const hubSchema = serverSchema.extend({
	port: portSetting.default(3914),
	/** Workspaces on the hub itself, for whoever has no sidecar. */
	workspaces: z.boolean().default(false),
	/** How people reach it, where that is not its own name and port: through a balancer or a proxy. */
	publicUrl: z
		.url({ protocol: /^https$/ })
		.transform((url) => new URL(url).origin)
		.optional(),
	...clusterFields,
});

type Settings = z.infer<typeof hubSchema>;
export type HubConfig = Settings & {
	readonly ai: AiConfig;
	/** Sign-in by other services' accounts. */
	readonly social: SocialProviders;
	/** Where this hub shares its state with other instances; null = it has files of its own. */
	readonly cluster: ClusterConfig | null;
};

const variables: Readonly<Record<keyof Settings, string>> = {
	...serverVariables,
	port: "WARREN_PORT",
	workspaces: "WARREN_WORKSPACES",
	publicUrl: "WARREN_PUBLIC_URL",
	...clusterVariables,
};

export const hubSettings = { name: "hub", schema: hubSchema, variables } as const;

/** @throws WarrenError `bad_config`, `unsafe_config` (plain HTTP off loopback, backends without TLS). */
export function parseHubConfig(
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
): HubConfig {
	const settings = parseServerConfig({ ...hubSettings, secret: "passwords and sessions" }, flags, environment);
	return {
		...settings,
		ai: parseAiConfig(environment),
		social: readSocialVariables(environment, "hub"),
		cluster: parseCluster(settings, flags),
	};
}
