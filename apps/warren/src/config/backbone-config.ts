import { readFileSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { defineErrors, parseConfig } from "@warren/kernel";
import { z } from "zod";
import { type ClusterConfig, clusterFields, clusterVariables, parseCluster } from "./cluster-config.ts";
import { defaultDataFolder } from "./data-folder.ts";
import { isLoopback } from "./server-config.ts";
import { configError, type Environment, readSettings } from "./settings.ts";

const port = z.coerce.number().pipe(z.int().min(0).max(65535));
const list = z.array(z.string().min(1)).default([]);

/** Services are `<service>.<domain>`. */
export const backboneDomain = z
	.string()
	.regex(/^[a-z0-9-]+(\.[a-z0-9-]+)*$/, "must be a domain name in lower case")
	.default("localhost");

const serverSchema = z.object({
	data: z.string().min(1),
	host: z.string().min(1).optional(),
	port: port.default(5152),
	domain: backboneDomain,
	hostname: list,
	http: z.boolean().default(false),
	json: z.boolean().default(false),
	tlsCert: z.string().optional(),
	tlsKey: z.string().optional(),
	acme: z.boolean().default(false),
	acmeDirectory: z.url({ protocol: /^https$/ }).default("https://acme-v02.api.letsencrypt.org/directory"),
	acmeEmail: z.email().optional(),
	acmeHttpPort: port.optional(),
	/** A program, called with present|remove, the record and its value. */
	acmeDnsHook: z.string().min(1).optional(),
	trustedProxy: list,
	publicUrl: z.url({ protocol: /^https?$/ }).optional(),
	streamPorts: z
		.string()
		.regex(/^\d{1,5}-\d{1,5}$/, "must be FIRST-LAST")
		.default("20000-20999")
		.transform((text) => text.split("-").map(Number) as [number, number])
		.refine(([first, last]) => first <= last && last <= 65535, "must be FIRST-LAST, at most 65535"),
	approvePrincipals: z.boolean().default(false),
	logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
	adminToken: z.string().min(16).optional(),
	masterSecret: z.string().min(32).optional(),
	/** Where the other nodes reach this one. */
	clusterUrl: z.url({ protocol: /^https?$/ }).optional(),
	...clusterFields,
});

type Settings = z.infer<typeof serverSchema>;
export type BackboneConfig = Settings & {
	/** Where this node shares its state with others; null = it has files of its own. */
	readonly cluster: ClusterConfig | null;
};

const serverVariables: Readonly<Record<keyof Settings, string>> = {
	data: "WARREN_DATA",
	host: "WARREN_HOST",
	port: "WARREN_BACKBONE_PORT",
	domain: "WARREN_BACKBONE_DOMAIN",
	hostname: "WARREN_HOSTNAME",
	http: "WARREN_HTTP",
	json: "WARREN_JSON",
	tlsCert: "WARREN_TLS_CERT",
	tlsKey: "WARREN_TLS_KEY",
	acme: "WARREN_BACKBONE_ACME",
	acmeDirectory: "WARREN_BACKBONE_ACME_DIRECTORY",
	acmeEmail: "WARREN_BACKBONE_ACME_EMAIL",
	acmeHttpPort: "WARREN_BACKBONE_ACME_HTTP_PORT",
	acmeDnsHook: "WARREN_BACKBONE_ACME_DNS_HOOK",
	trustedProxy: "WARREN_TRUSTED_PROXY",
	publicUrl: "WARREN_BACKBONE_URL",
	streamPorts: "WARREN_BACKBONE_STREAM_PORTS",
	approvePrincipals: "WARREN_BACKBONE_APPROVE_PRINCIPALS",
	logLevel: "WARREN_LOG_LEVEL",
	adminToken: "BACKBONE_ADMIN_TOKEN",
	masterSecret: "BACKBONE_MASTER_SECRET",
	clusterUrl: "WARREN_CLUSTER_URL",
	...clusterVariables,
};

/** What no public authority signs is not asked for. */
export function isPublicName(name: string): boolean {
	return (
		/^[a-z0-9-]+(\.[a-z0-9-]+)+$/.test(name) &&
		!/^[\d.]+$/.test(name) &&
		!/\.(localhost|local|internal|home\.arpa)$/.test(name)
	);
}

export const backboneSettings = {
	name: "backbone",
	schema: serverSchema,
	variables: serverVariables,
	secrets: ["adminToken", "masterSecret"],
} as const;

/**
 * The backbone's settings.
 * @throws WarrenError `bad_config`, `unsafe_config` (plain HTTP off loopback).
 */
export function parseBackboneConfig(
	flags: Readonly<Record<string, unknown>>,
	environment: Environment,
): BackboneConfig {
	const config = readSettings(backboneSettings, flags, environment, { data: defaultDataFolder(environment) });
	if (config.http) {
		config.host ??= "127.0.0.1";
		if (!isLoopback(config.host))
			throw configError("unsafe_config", `--http on ${config.host} would send credentials in the clear.`, {
				fix: "Leave out --http (TLS is on by itself), or use --host 127.0.0.1 behind a proxy that ends TLS.",
			});
	}
	if ((config.tlsCert === undefined) !== (config.tlsKey === undefined))
		throw configError("bad_config", "--tls-cert and --tls-key belong together, and one is missing.", {
			fix: "Give both files, or neither.",
		});
	if (config.acme && config.http)
		throw configError("bad_config", "--acme gets certificates, and --http uses none.", {
			fix: "Leave one of them out.",
		});
	if (config.acme && !isPublicName(config.domain))
		throw configError("bad_config", `--acme cannot get a certificate for "${config.domain}".`, {
			fix: "Give --domain a public name that leads to this server.",
		});
	const cluster = parseCluster({ ...config, name: "backbone" }, flags);
	if (cluster !== null) checkClusterUrl(config);
	return { ...config, data: resolve(config.data), cluster };
}

/** Other machines need to know where this one is, and reach it by TLS. @throws WarrenError `bad_config`, `unsafe_config`. */
function checkClusterUrl({ clusterUrl, host }: Settings): void {
	if (clusterUrl === undefined) {
		if (host !== undefined && host !== "0.0.0.0" && host !== "::") return;
		throw configError("bad_config", "Several nodes need to reach each other, and this one does not know its address.", {
			fix: "Give --cluster-url https://ADDRESS:PORT as the other nodes reach this one, or --host ADDRESS.",
		});
	}
	const { protocol, hostname } = new URL(clusterUrl);
	if (protocol === "http:" && !isLoopback(hostname.replace(/^\[|\]$/g, "")))
		throw configError("unsafe_config", `${clusterUrl} would carry what clients send in the clear.`, {
			fix: "Use https: nodes check each other's certificates.",
		});
}

const isPort = (digits = "") => Number(digits) >= 1 && Number(digits) <= 65535;
const targetPattern = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]]+)):(\d{1,5})$/;
const target = z
	.string()
	.regex(targetPattern, "must be HOST:PORT")
	.refine((text) => isPort(targetPattern.exec(text)?.[3]), "must be HOST:PORT, with a port from 1 to 65535")
	.transform((text) => {
		const match = targetPattern.exec(text) as RegExpExecArray;
		return { host: (match[1] ?? match[2]) as string, port: Number(match[3]) };
	});
const transport = z.enum(["parked", "shared", "websocket", "http2"]);

const agentServiceSchema = z.strictObject({
	service: z.string().min(1),
	target,
	/** A secret; or where it lies. */
	token: z.string().optional(),
	tokenFile: z.string().optional(),
	backbone: z.string().optional(),
	transport: transport.optional(),
	name: z.string().optional(),
	proxyProtocol: z.boolean().default(false),
	links: z.int().min(1).max(10_000).optional(),
});

const agentFileSchema = z.strictObject({
	backbone: z.string().optional(),
	transport: transport.optional(),
	ca: z.string().optional(),
	services: z.array(agentServiceSchema).min(1).max(1000),
});

/** One service that an agent serves, with everything it needs. */
export interface AgentServiceConfig {
	readonly backbone: URL;
	/** PEM that the backbone's certificate must chain to; null = what the system trusts. */
	readonly ca: string | null;
	readonly service: string;
	readonly target: { readonly host: string; readonly port: number };
	readonly token: string;
	readonly transport: "parked" | "shared" | "websocket" | "http2";
	readonly name: string | null;
	readonly proxyProtocol: boolean;
	readonly links?: number;
}

/** A token says whose it is; its service's name holds no underscore. */
const serviceToken = /^mosb_([a-z0-9-]+)_/;

/** One service, as flags and variables say it; the same words as in the file. */
const agentSchema = z.object({
	backbone: z.string().optional(),
	ca: z.string().optional(),
	token: z.string().optional(),
	service: z.string().optional(),
	target: z.string().optional(),
	transport: transport.optional(),
	name: z.string().optional(),
	proxyProtocol: z.boolean().default(false),
	config: z.string().optional(),
	json: z.boolean().default(false),
	logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

export const agentSettings = {
	name: "agent",
	schema: agentSchema,
	variables: {
		backbone: "BACKBONE_URL",
		ca: "BACKBONE_CA",
		token: "BACKBONE_SERVICE_TOKEN",
		service: "BACKBONE_SERVICE",
		target: "BACKBONE_TARGET",
		transport: "BACKBONE_TRANSPORT",
		name: "BACKBONE_AGENT_NAME",
		proxyProtocol: "BACKBONE_PROXY_PROTOCOL",
		config: "BACKBONE_AGENT_CONFIG",
		json: "WARREN_JSON",
		logLevel: "WARREN_LOG_LEVEL",
	},
	secrets: ["token"],
} as const;

/** How an agent runs, and the file of its services where one was named. */
export function parseAgentRun(flags: Readonly<Record<string, unknown>>, environment: Environment) {
	const { config = null, json, logLevel } = readSettings(agentSettings, flags, environment);
	return { file: config, json, logLevel };
}

/** @throws WarrenError `bad_config`, `unsafe_config`. */
export function parseAgentConfig(
	flags: Readonly<Record<string, unknown>>,
	environment: Environment,
): AgentServiceConfig[] {
	const { config, backbone, ca, transport, ...given } = readSettings(agentSettings, flags, environment);
	const { json: _json, logLevel: _logLevel, ...service } = given;
	const shared = { backbone, ca, transport };
	const said = config === undefined ? { services: [service] } : readJson(config);
	const file = parseConfig(agentFileSchema, { ...shared, ...said }, "agent");
	/** What the file names lies beside it, wherever the agent is started; a flag's is of the working directory. */
	const beside = (named: string) => (config === undefined ? named : resolve(dirname(config), named));
	const caFile = file.ca === undefined || !("ca" in said) ? file.ca : beside(file.ca);
	const seen = new Set<string>();
	return file.services.map((each) => {
		const token = each.token ?? (each.tokenFile === undefined ? undefined : readText(beside(each.tokenFile)).trim());
		if (token === undefined || token === "")
			throw configError("bad_config", `Service "${each.service}" has no token.`, {
				fix:
					config === undefined
						? "Set BACKBONE_SERVICE_TOKEN."
						: `Give it its own token or tokenFile in ${config}: BACKBONE_SERVICE_TOKEN is for an agent without a file.`,
			});
		const tokenOf = serviceToken.exec(token)?.[1] ?? each.service;
		if (tokenOf !== each.service)
			throw configError("bad_config", `Service "${each.service}" has the token of "${tokenOf}".`, {
				fix: `Give it one of its own, or call it "${tokenOf}".`,
			});
		const address = each.backbone ?? file.backbone;
		if (address === undefined)
			throw configError("bad_config", `Service "${each.service}" has no backbone.`, { fix: "Give --backbone URL." });
		const key = `${address} ${each.service} ${each.name ?? ""}`;
		if (seen.has(key)) throw configError("bad_config", `Service "${each.service}" stands twice in the file.`);
		seen.add(key);
		return {
			backbone: backboneUrl(address),
			ca: caFile === undefined ? null : readText(caFile),
			service: each.service,
			target: each.target,
			token,
			transport: each.transport ?? file.transport ?? "shared",
			name: each.name ?? null,
			proxyProtocol: each.proxyProtocol,
			...(each.links === undefined ? {} : { links: each.links }),
		};
	});
}

/** `warren forward`, and `warren whoami --service`: somebody who reaches services of a backbone. */
const forwardSchema = z.object({
	backbone: z.string().default(""),
	ca: z.string().optional(),
	credential: z.string().default(""),
	host: z.string().min(1).default("127.0.0.1"),
	json: z.boolean().default(false),
	logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
});

export const forwardSettings = {
	name: "forward",
	schema: forwardSchema,
	variables: {
		backbone: "BACKBONE_URL",
		ca: "BACKBONE_CA",
		credential: "BACKBONE_CREDENTIAL",
		host: "WARREN_FORWARD_HOST",
		json: "WARREN_JSON",
		logLevel: "WARREN_LOG_LEVEL",
	},
	secrets: ["credential"],
} as const;

const credentialError = defineErrors({
	no_credential: { status: 401, fix: "Set it to the credential from POST /principals, or from the Services page." },
});

/** @throws WarrenError `bad_config`, `unsafe_config`, `no_credential`. */
export function parseForwardConfig(flags: Readonly<Record<string, unknown>>, environment: Environment) {
	const { backbone, ca, credential, ...rest } = readSettings(forwardSettings, flags, environment);
	if (credential === "") throw credentialError("no_credential", "BACKBONE_CREDENTIAL is not set.");
	if (backbone === "")
		throw configError("bad_config", "No backbone was given.", { fix: "Give --backbone URL, or set BACKBONE_URL." });
	return { ...rest, credential, backbone: backboneUrl(backbone), ca: ca === undefined ? null : readText(ca) };
}

/** @throws WarrenError `bad_config`, `unsafe_config`: a token must not travel in the clear. */
export function backboneUrl(text: string): URL {
	const url = URL.canParse(text) ? new URL(text) : null;
	if (url === null || !/^https?:$/.test(url.protocol))
		throw configError("bad_config", `"${text.slice(0, 200)}" is not a URL of a backbone.`, {
			fix: "Give https://HOST[:PORT].",
		});
	if (url.protocol === "http:" && !isLoopback(url.hostname))
		throw configError("unsafe_config", `${url.origin} would carry the token in the clear.`, { fix: "Use https." });
	return url;
}

export function readText(file: string): string {
	try {
		return readFileSync(file, "utf8");
	} catch (cause) {
		throw configError("bad_config", `${file} cannot be read: ${(cause as Error).message}.`, { cause });
	}
}

function readJson(file: string): Record<string, unknown> {
	try {
		return JSON.parse(readText(file)) as Record<string, unknown>;
	} catch (cause) {
		if (!(cause instanceof SyntaxError)) throw cause;
		throw configError("bad_config", `${file} is not JSON: ${cause.message}.`, { cause });
	}
}
