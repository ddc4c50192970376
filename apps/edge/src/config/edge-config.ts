import { readSocialVariables, type SocialProviders } from "@warren/accounts";
import { type AiOptions, readKeyVariables, readOrigins } from "@warren/ai";
import { parseConfig } from "@warren/kernel";
import type { PostgresOptions } from "@warren/store";
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
	/** Null: the tables stand in the hub's own object. */
	readonly database: EdgeDatabase | null;
	readonly ai: Pick<AiOptions, "environmentKeys" | "overrides" | "ollamaHost" | "cloud">;
}

/** PostgreSQL for everything but the documents' contents. */
export interface EdgeDatabase {
	readonly postgres: PostgresOptions;
	/** What belongs to these tables and must not be among them: without it, second factors of a backup open nothing. */
	readonly secret: string;
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
const database = z.object({
	WARREN_DATABASE: z
		.string({ message: "must be set with WARREN_SECRET, which is for the tables in it" })
		.regex(/^postgres(ql)?:[/][/]/, "must be like postgres://USER:PASSWORD@HOST/DATABASE")
		.refine((text) => URL.canParse(text), { message: "is no URL", abort: true })
		.transform((text) => new URL(text))
		.refine(({ hostname, username, pathname }) => hostname !== "" && username !== "" && pathname.length > 1, {
			message: "lacks its host, its user or its database's name",
		}),
	WARREN_SECRET: z
		.string({ message: "must be set with WARREN_DATABASE: 32 random characters that stay the same" })
		.min(32, "must have 32 characters at least"),
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
		database:
			texts["WARREN_DATABASE"] === undefined && texts["WARREN_SECRET"] === undefined ? null : readDatabase(texts),
		ai: {
			environmentKeys: readKeyVariables(texts),
			overrides: readOrigins(texts),
			// Nothing is on this machine: only what was named.
			ollamaHost: texts["OLLAMA_HOST"] ?? "",
			cloud: texts["WARREN_CLOUD"] === "1",
		},
	};
}

/** Its password is in the URL, which is a secret of the deployment. TLS unless it is on this machine (`wrangler dev`). */
function readDatabase(texts: Readonly<Record<string, string>>): EdgeDatabase {
	const { WARREN_DATABASE: url, WARREN_SECRET: secret } = parseConfig(database, texts, "edge");
	return {
		postgres: {
			host: url.hostname.replace(/^\[|\]$/g, ""),
			...(url.port === "" ? {} : { port: Number(url.port) }),
			database: decodeURIComponent(url.pathname.slice(1)),
			user: decodeURIComponent(url.username),
			...(url.password === "" ? {} : { password: decodeURIComponent(url.password) }),
			tls: !near.has(url.hostname),
			maxConnections,
		},
		secret,
	};
}

const near: ReadonlySet<string> = new Set(["localhost", "127.0.0.1", "[::1]"]);
/** Of the six that the platform lets an object dial at once. */
const maxConnections = 5;

function split(text: string): string[] {
	return text
		.split(",")
		.map((each) => each.trim())
		.filter((each) => each !== "");
}
