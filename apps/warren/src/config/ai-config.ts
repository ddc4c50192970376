import { type AiOptions, readKeyVariables, readOrigins } from "@warren/ai";

/** What the environment says about AI: keys, origins, Ollama. */
export type AiConfig = Pick<AiOptions, "environmentKeys" | "overrides" | "ollamaHost" | "cloud">;

/** The file in the data folder that `warren keys set` writes. */
export const keyFileName = "ai.env";

/** @throws WarrenError `bad_config`, `unsafe_config`: an origin that is none, or in the clear. */
export function parseAiConfig(environment: Readonly<Record<string, string | undefined>>): AiConfig {
	return {
		environmentKeys: readKeyVariables(environment),
		overrides: readOrigins(environment),
		// Explicitly empty means that there is none; unset, that it may be where Ollama puts itself.
		ollamaHost: environment["OLLAMA_HOST"],
		cloud: environment["WARREN_CLOUD"] === "1",
	};
}
