import { existsSync, mkdirSync, readFileSync } from "node:fs";
import { hostname } from "node:os";
import { join, resolve } from "node:path";
import { type Logger, messageOf } from "@warren/kernel";
import { canonicalHost } from "@warren/net";
import { appUla, tagPattern } from "@warren/overlay/joiner";
import { z } from "zod";
import { defaultDataFolder } from "./data-folder.ts";
import { isLoopback } from "./server-config.ts";
import { configError, readSettings } from "./settings.ts";
import { writeWhole } from "./write-whole.ts";

const port = z.coerce.number().pipe(z.int().min(0).max(65535));
const url = z.url({ protocol: /^https?$/ });
const schema = z.object({
	data: z.string().min(1),
	coordinator: z.array(url).min(1),
	tlsCert: z.string().optional(),
	tlsKey: z.string().optional(),
	tlsCa: z.string().optional(),
	joinToken: z.string().optional(),
	name: z.string().trim().min(1).max(80),
	tag: z.array(z.string().regex(tagPattern)).default([]),
	network: z.string().regex(tagPattern).default("default"),
	interface: z
		.string()
		.regex(/^[A-Za-z0-9_.-]{1,15}$/, "must be an interface name of at most 15 characters")
		.default("warren0"),
	listenPort: port.default(51820),
	listenEndpoint: z.string().optional(),
	relayOnly: z.boolean().default(false),
	dataPlane: z.enum(["auto", "kernel", "offload", "portable"]).default("auto"),
	app: z.array(z.string()).default([]),
	names: z.boolean().default(true),
	insecure: z.boolean().default(false),
	json: z.boolean().default(false),
	logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

export type JoinerConfig = Omit<z.infer<typeof schema>, "app"> & {
	readonly apps: readonly { uuid: string; host: string; port: number }[];
	readonly folder: string;
};

const coordinatorVariables = ["TABBIFY_MESH_COORDINATOR", "WARREN_COORDINATOR"] as const;
const variables: Readonly<Record<keyof z.infer<typeof schema>, string | readonly string[]>> = {
	data: "WARREN_DATA",
	coordinator: coordinatorVariables,
	tlsCert: "WARREN_OVERLAY_TLS_CERT",
	tlsKey: "WARREN_OVERLAY_TLS_KEY",
	tlsCa: "WARREN_OVERLAY_TLS_CA",
	joinToken: "MESH_JOIN_TOKEN",
	name: "WARREN_NAME",
	tag: "WARREN_OVERLAY_TAGS",
	network: "WARREN_OVERLAY_NETWORK",
	interface: "WARREN_OVERLAY_INTERFACE",
	listenPort: "WARREN_OVERLAY_PORT",
	listenEndpoint: "WARREN_OVERLAY_ENDPOINT",
	relayOnly: "WARREN_OVERLAY_RELAY_ONLY",
	dataPlane: "WARREN_OVERLAY_DATA_PLANE",
	app: "WARREN_OVERLAY_APPS",
	names: "WARREN_OVERLAY_NAMES",
	insecure: "WARREN_OVERLAY_INSECURE",
	json: "WARREN_JSON",
	logLevel: "WARREN_LOG_LEVEL",
};

export const joinerSettings = {
	name: "overlay",
	schema,
	variables,
	renamed: { insecureNoMtls: "insecure" },
} as const;

/** What a later command needs of an earlier join: never a token. */
const remembered = ["coordinator", "tlsCert", "tlsKey", "tlsCa", "name", "insecure"] as const;

export function overlayFolder(
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
): string {
	const data = flags["data"] ?? environment["WARREN_DATA"];
	return join(resolve(typeof data === "string" && data !== "" ? data : defaultDataFolder(environment)), "overlay");
}

/**
 * The joiner's settings: flags, else environment, else the file, else what the last join on this machine said, else defaults.
 * @throws WarrenError `bad_config`, `unsafe_config` (no certificates without both signs that this is meant).
 */
export function parseJoinerConfig(
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
): JoinerConfig {
	const folder = overlayFolder(flags, environment);
	const before = earlier(folder);
	const told = [flags["coordinator"], before["coordinator"], environment["WARREN_CONFIG"]].concat(
		coordinatorVariables.map((name) => environment[name] || undefined),
	);
	if (told.every((each) => each === undefined))
		throw configError("bad_config", "Which coordinator to join is not said.", {
			fix: "Give --coordinator URL, or set WARREN_COORDINATOR.",
		});
	const { app, ...config } = readSettings(joinerSettings, flags, environment, {
		data: defaultDataFolder(environment),
		name: canonicalHost(hostname()).split(".")[0],
		...before,
	});
	const allowed = environment["WARREN_ALLOW_INSECURE"] === "1" || environment["TABBIFY_ALLOW_INSECURE"] === "1";
	const given = [config.tlsCert, config.tlsKey, config.tlsCa].filter((file) => file !== undefined).length;
	if (config.insecure && !allowed) {
		throw configError("unsafe_config", "--insecure-no-mtls lets whoever stands between be any peer.", {
			fix: "Give --tls-cert, --tls-key and --tls-ca. For development alone, set WARREN_ALLOW_INSECURE=1 as well.",
		});
	}
	if (!config.insecure && given !== 3) {
		throw configError("bad_config", "Joining needs --tls-cert, --tls-key and --tls-ca, and not all are given.", {
			fix: "Get them from whoever runs the overlay: warren ca issue-peer --name NAME",
		});
	}
	const plain = config.coordinator.find((each) => each.startsWith("http:") && !isLoopback(new URL(each).hostname));
	if (!config.insecure && config.coordinator.some((each) => each.startsWith("http:")))
		throw configError("unsafe_config", "A coordinator over http:// has no certificates.", {
			fix: "Use https://, or --insecure-no-mtls for development.",
		});
	if (plain !== undefined && !allowed)
		throw configError("unsafe_config", `${plain} is plain HTTP.`, { fix: "Use https://." });
	return { ...config, apps: app.map(appOf), folder };
}

/** Keeps them, so that `status`, `leave` and `add-device` need no flags. What is in its way (a full disk) ends no joiner. */
export function rememberSettings(config: JoinerConfig, logger: Logger): void {
	const file = join(config.folder, "join.json");
	try {
		mkdirSync(config.folder, { recursive: true, mode: 0o700 });
		writeWhole(file, rememberedSettings(config));
	} catch (failure) {
		logger.warn("how this machine joined cannot be kept", { file, fault: messageOf(failure) });
	}
}

function rememberedSettings(config: JoinerConfig): string {
	const kept = Object.fromEntries(
		remembered.map((field) => [
			field,
			field.startsWith("tls") && config[field] !== undefined ? resolve(String(config[field])) : config[field],
		]),
	);
	return `${JSON.stringify(kept, null, "\t")}\n`;
}

export function readLinkTls(config: JoinerConfig): { ca: string; cert: string; key: string } | null {
	if (config.insecure) return null;
	const { tlsCert, tlsKey, tlsCa } = config as { tlsCert: string; tlsKey: string; tlsCa: string };
	try {
		return { ca: readFileSync(tlsCa, "utf8"), cert: readFileSync(tlsCert, "utf8"), key: readFileSync(tlsKey, "utf8") };
	} catch (cause) {
		throw configError("bad_config", `The certificate files cannot be read: ${messageOf(cause)}.`, {
			fix: "Correct --tls-cert, --tls-key and --tls-ca.",
			cause,
		});
	}
}

function earlier(folder: string): Record<string, unknown> {
	const file = join(folder, "join.json");
	if (!existsSync(file)) return {};
	try {
		return JSON.parse(readFileSync(file, "utf8")) as Record<string, unknown>;
	} catch {
		// Only a convenience: the flags say it all.
		return {};
	}
}

function appOf(text: string): { uuid: string; host: string; port: number } {
	const match = /^([0-9a-fA-F-]{36})=(?:\[([^\]]+)\]|([^:\]]+)):(\d{1,5})$/.exec(text);
	if (match === null || appUla(match[1] as string) === null)
		throw configError("bad_config", `--app ${text.slice(0, 100)} is not UUID=HOST:PORT.`, {
			fix: "For example: --app 0191e7c2-1111-7222-8333-444455556666=127.0.0.1:8080",
		});
	return { uuid: (match[1] as string).toLowerCase(), host: (match[2] ?? match[3]) as string, port: Number(match[4]) };
}
