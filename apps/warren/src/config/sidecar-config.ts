import { z } from "zod";
import { isLoopback, parseServerConfig, portSetting, serverSchema, serverVariables } from "./server-config.ts";
import { configError } from "./settings.ts";

const sidecarSchema = serverSchema.extend({
	port: portSetting.default(3913),
	/** Unless told, the hub of the last `warren login` on this data folder. */
	hub: z.url().optional(),
	/** The coding agent's program, where it is not found by itself. */
	opencode: z.string().min(1).optional(),
	/** It ends when its standard input does. */
	attached: z.boolean().default(false),
});

export type SidecarConfig = z.infer<typeof sidecarSchema> & { readonly host: string };

const variables: Readonly<Record<keyof SidecarConfig, string>> = {
	...serverVariables,
	host: "WARREN_SIDECAR_HOST",
	port: "WARREN_SIDECAR_PORT",
	hub: "WARREN_HUB",
	opencode: "WARREN_OPENCODE",
	attached: "WARREN_ATTACHED",
};

export const sidecarSettings = { name: "sidecar", schema: sidecarSchema, variables } as const;

/**
 * The sidecar is plain HTTP on loopback, always: windows of this machine are its only clients.
 * @throws WarrenError `bad_config`, `unsafe_config` (any other address).
 */
export function parseSidecarConfig(
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
): SidecarConfig {
	const { WARREN_HTTP: _http, ...rest } = environment;
	const config = parseServerConfig({ ...sidecarSettings, secret: "sessions" }, { ...flags, http: false }, rest);
	const host = config.host ?? "127.0.0.1";
	if (!isLoopback(host))
		throw configError("unsafe_config", `A sidecar on ${host} would serve others than this machine's own windows.`, {
			fix: "Leave out --host; other machines reach documents through the hub or a node.",
		});
	return { ...config, host };
}
