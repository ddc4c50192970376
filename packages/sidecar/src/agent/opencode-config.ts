/** A provider as the hub offers it. */
export interface OfferedProvider {
	readonly id: string;
	readonly name: string;
	readonly configured: boolean;
	readonly models: readonly string[];
}

export interface OpencodeOptions {
	/** Of the sidecar's relay: `http://127.0.0.1:PORT`. */
	readonly relay: string;
	/** Good at the relay alone, for this one process. */
	readonly secret: string;
	readonly providers: readonly OfferedProvider[];
	/** npm packages, as the synced list has them. */
	readonly plugins: readonly string[];
	/** Servers of this machine's configuration, in OpenCode's own form. */
	readonly mcp: Readonly<Record<string, unknown>>;
}

/** What its clients put behind the base address is the vendor's own path. */
const basePaths: Readonly<Record<string, string>> = {
	anthropic: "/v1",
	openai: "/v1",
	google: "/v1beta",
	groq: "/openai/v1",
	mistral: "/v1",
	xai: "/v1",
	deepseek: "",
	openrouter: "/api/v1",
	ollama: "/v1",
};

/**
 * OPENCODE_CONFIG_CONTENT: every provider at the relay. Its shell and its MCP servers can read this, so there is nothing in
 * it but a secret that is worth nothing elsewhere.
 */
export function opencodeConfig({ relay, secret, providers, plugins, mcp }: OpencodeOptions): Record<string, unknown> {
	const usable = providers.filter((each) => each.configured && basePaths[each.id] !== undefined);
	return {
		share: "disabled",
		autoupdate: false,
		// Those of the list alone: no credential of this machine's environment is looked for.
		enabled_providers: usable.map((each) => each.id),
		provider: Object.fromEntries(
			usable.map(({ id, name, models }) => [
				id,
				{
					options: { apiKey: secret, baseURL: `${relay}/proxy/${id}${basePaths[id] ?? ""}` },
					...(id === "ollama" ? { npm: "@ai-sdk/openai-compatible", name } : {}),
					models: Object.fromEntries(models.map((model) => [model, {}])),
				},
			]),
		),
		plugin: plugins,
		mcp,
	};
}
