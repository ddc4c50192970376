import { readSocialVariables, type SocialProviders } from "@warren/accounts";
import { type AiOptions, readKeyVariables, readOrigins } from "@warren/ai";
import { parseConfig } from "@warren/kernel";
import { z } from "zod";

/** A hub on Workers, as its variables and secrets say. */
export interface EdgeConfig {
	/** How it is reached, best first. */
	readonly urls: readonly string[];
	readonly name: string;
	/** Proves the first owner; null: nobody can become it. */
	readonly setup: string | null;
	readonly corsOrigins: ReadonlySet<string>;
	readonly social: SocialProviders;
	readonly ai: Pick<AiOptions, "environmentKeys" | "overrides" | "ollamaHost" | "cloud">;
}

const origin = z
	.url({ protocol: /^https?$/ })
	.refine((url) => !URL.canParse(url) || new URL(url).origin === url.replace(/\/$/, ""), {
		message: "must be an origin, without a path",
	});
const schema = z.object({
	WARREN_URL: z.string({ message: "must be set: the origin of this hub, like https://hub.example.com" }),
	WARREN_NAME: z.string().trim().min(1).max(60).default("Warren"),
	WARREN_SETUP: z.string().min(16, "must have 16 characters at least").optional(),
	WARREN_CORS_ORIGINS: z.string().default(""),
});

/** @throws WarrenError `bad_config`, `unsafe_config`. */
export function parseEdgeConfig(environment: Readonly<Record<string, unknown>>): EdgeConfig {
	const texts = Object.fromEntries(
		Object.entries(environment).filter((entry): entry is [string, string] => typeof entry[1] === "string"),
	);
	const settings = parseConfig(schema, texts, "edge");
	const urls = parseConfig(z.array(origin).min(1), split(settings.WARREN_URL), "edge");
	return {
		urls: urls.map((each) => new URL(each).origin),
		name: settings.WARREN_NAME,
		setup: settings.WARREN_SETUP ?? null,
		corsOrigins: new Set(split(settings.WARREN_CORS_ORIGINS)),
		social: readSocialVariables(texts, "edge"),
		ai: {
			environmentKeys: readKeyVariables(texts),
			overrides: readOrigins(texts),
			// Nothing is on this machine: only what was named.
			ollamaHost: texts["OLLAMA_HOST"] ?? "",
			cloud: texts["WARREN_CLOUD"] === "1",
		},
	};
}

function split(text: string): string[] {
	return text
		.split(",")
		.map((each) => each.trim())
		.filter((each) => each !== "");
}
