import { readFileSync } from "node:fs";
import { messageOf } from "@warren/kernel";
import type { NatsOptions, PostgresOptions } from "@warren/store";
import { z } from "zod";
import { isLoopback } from "./server-config.ts";
import { configError } from "./settings.ts";

/** Settings of a role that shares its state with others of its kind; all absent where it has its own files. */
export const clusterFields = {
	database: z.string().min(1).optional(),
	databasePasswordFile: z.string().min(1).optional(),
	databaseCa: z.string().min(1).optional(),
	nats: z.string().min(1).optional(),
	natsPasswordFile: z.string().min(1).optional(),
	natsCa: z.string().min(1).optional(),
	/** Backends on other machines without TLS: on a network that is private already. */
	plainBackends: z.boolean().default(false),
} as const;

export const clusterVariables = {
	database: "WARREN_DATABASE",
	databasePasswordFile: "WARREN_DATABASE_PASSWORD_FILE",
	databaseCa: "WARREN_DATABASE_CA",
	nats: "WARREN_NATS",
	natsPasswordFile: "WARREN_NATS_PASSWORD_FILE",
	natsCa: "WARREN_NATS_CA",
	plainBackends: "WARREN_PLAIN_BACKENDS",
} as const;

/** Of roles that need the database alone: one instance leads, the others carry connections to it. */
export const databaseFields = {
	database: clusterFields.database,
	databasePasswordFile: clusterFields.databasePasswordFile,
	databaseCa: clusterFields.databaseCa,
	plainBackends: clusterFields.plainBackends,
	/** `ADDRESS:PORT` where the other instances reach this one. */
	clusterAddress: z
		.string()
		.regex(/^(\[[0-9a-fA-F:.]+\]|[^:[\]\s]+):\d{1,5}$/, "must be ADDRESS:PORT")
		.optional(),
} as const;

export const databaseVariables = {
	database: clusterVariables.database,
	databasePasswordFile: clusterVariables.databasePasswordFile,
	databaseCa: clusterVariables.databaseCa,
	plainBackends: clusterVariables.plainBackends,
	clusterAddress: "WARREN_CLUSTER_ADDRESS",
} as const;

const settings = z.object(clusterFields);
export type ClusterSettings = z.infer<typeof settings>;

export interface ClusterConfig {
	readonly postgres: PostgresOptions;
	readonly nats: NatsOptions;
	/** Credentials and documents cross a network in the clear, on purpose. */
	readonly plain: boolean;
}

/**
 * Where the shared state is, or null for a role with files of its own.
 * @param flags as they were typed: no password may be among them.
 * @throws WarrenError `bad_config` (half of it, a password in the command line, no such file), `unsafe_config`.
 */
export function parseCluster(
	config: ClusterSettings & { readonly name: string },
	flags: Readonly<Record<string, unknown>>,
): ClusterConfig | null {
	if (config.database === undefined && config.nats === undefined) return null;
	if (config.database === undefined || config.nats === undefined) {
		const [given, missing] = config.nats === undefined ? ["--database", "--nats"] : ["--nats", "--database"];
		throw configError("bad_config", `${given} is set without ${missing}.`, {
			fix: "Several instances need both: tables in PostgreSQL, and NATS between them.",
		});
	}
	for (const flag of ["database", "nats"] as const) refusePassword(flags, flag);
	const postgres = parsePostgres(config.database, config);
	const nats = parseNats(config.nats, config);
	const far = [
		...(postgres.ca === undefined && !isNear(postgres.host) ? [`PostgreSQL on ${postgres.host}`] : []),
		...(nats.ca === undefined
			? nats.servers.filter((each) => !isNear(hostOf(each))).map((each) => `NATS at ${each}`)
			: []),
	];
	if (far.length > 0 && !config.plainBackends) {
		throw configError("unsafe_config", `${far.join(" and ")} would be reached without TLS.`, {
			fix: "Give its CA with --database-ca or --nats-ca; on a network that is private already, --plain-backends says so.",
		});
	}
	return { postgres, nats, plain: far.length > 0 };
}

export interface DatabaseConfig {
	readonly postgres: PostgresOptions;
	readonly plain: boolean;
	/** `ADDRESS:PORT`; null = where it listens. */
	readonly address: string | null;
}

/**
 * Where the state is that several instances share, or null for a role with files of its own.
 * @param host where it listens. @throws WarrenError `bad_config`, `unsafe_config`.
 */
export function parseDatabase(
	config: z.infer<z.ZodObject<typeof databaseFields>> & { readonly host?: string | undefined },
	flags: Readonly<Record<string, unknown>>,
): DatabaseConfig | null {
	if (config.database === undefined) {
		if (config.clusterAddress === undefined) return null;
		throw configError("bad_config", "--cluster-address is set without --database.", {
			fix: "Several instances share a PostgreSQL: give --database too, or leave both out.",
		});
	}
	refusePassword(flags, "database");
	const postgres = parsePostgres(config.database, config);
	const isFar = postgres.ca === undefined && !isNear(postgres.host);
	if (isFar && !config.plainBackends) {
		throw configError("unsafe_config", `PostgreSQL on ${postgres.host} would be reached without TLS.`, {
			fix: "Give its CA with --database-ca; on a network that is private already, --plain-backends says so.",
		});
	}
	const isAnywhere = config.host === undefined || config.host === "0.0.0.0" || config.host === "::";
	if (config.clusterAddress === undefined && isAnywhere) {
		throw configError(
			"bad_config",
			"Several instances need to reach each other, and this one does not know its address.",
			{
				fix: "Give --cluster-address ADDRESS:PORT as the others reach this one, or --host ADDRESS.",
			},
		);
	}
	return { postgres, plain: isFar, address: config.clusterAddress ?? null };
}

function refusePassword(flags: Readonly<Record<string, unknown>>, flag: "database" | "nats"): void {
	if (typeof flags[flag] !== "string" || !/\/\/[^/@]*:[^/@]*@/.test(flags[flag])) return;
	throw configError("bad_config", `--${flag} holds a password, which every process of this machine can read.`, {
		fix: `Put the URL into ${clusterVariables[flag]}, or the password into a file: --${flag}-password-file FILE.`,
	});
}

/** `postgres://user[:password]@host[:port]/database`; `?host=/folder` for a Unix socket. */
function parsePostgres(
	text: string,
	config: Pick<ClusterSettings, "databasePasswordFile" | "databaseCa">,
): PostgresOptions {
	const url = parseUrl(text, "--database", ["postgres:", "postgresql:"]);
	const host = url.searchParams.get("host") ?? url.hostname;
	const database = decodeURIComponent(url.pathname.slice(1));
	if (host === "" || database === "" || url.username === "") {
		throw configError("bad_config", "--database lacks its host, its user or its database's name.", {
			fix: "It looks like postgres://warren@db.example.com/warren.",
		});
	}
	const password = passwordOf(url, config.databasePasswordFile);
	return {
		host: host.replace(/^\[|\]$/g, ""),
		...(url.port === "" ? {} : { port: Number(url.port) }),
		database,
		user: decodeURIComponent(url.username),
		...(password === null ? {} : { password }),
		...(config.databaseCa === undefined ? {} : { ca: fileText(config.databaseCa, "--database-ca") }),
	};
}

/** `nats://[user[:password]@]host[:port]`, several separated by commas; the first one's credentials count for all. */
function parseNats(text: string, config: ClusterSettings & { readonly name: string }): NatsOptions {
	const urls = text.split(",").map((each) => parseUrl(each.trim(), "--nats", ["nats:", "tls:"]));
	const [first] = urls as [URL];
	const user = decodeURIComponent(first.username);
	const password = passwordOf(first, config.natsPasswordFile);
	if ((user === "") !== (password === null)) {
		throw configError(
			"bad_config",
			`--nats has ${user === "" ? "a password without a user" : `the user "${user}" without a password`}.`,
			{
				fix: "Give both: nats://USER@HOST and --nats-password-file FILE.",
			},
		);
	}
	if (urls.some((url) => url.protocol === "tls:") && config.natsCa === undefined) {
		throw configError("bad_config", "--nats says tls:// and nobody says whose certificate to believe.", {
			fix: "Give the CA's certificate with --nats-ca FILE.",
		});
	}
	return {
		servers: urls.map((url) => `${url.hostname}:${url.port === "" ? 4222 : url.port}`),
		name: `warren ${config.name}`,
		...(user === "" || password === null ? {} : { user, password }),
		...(config.natsCa === undefined ? {} : { ca: fileText(config.natsCa, "--nats-ca") }),
	};
}

function parseUrl(text: string, flag: string, protocols: readonly string[]): URL {
	const url = URL.canParse(text) ? new URL(text) : null;
	if (url !== null && protocols.includes(url.protocol)) return url;
	throw configError(
		"bad_config",
		`${flag} is no URL that begins with ${protocols.map((each) => `${each}//`).join(" or ")}.`,
		{
			fix: "docs/cluster.md has examples.",
		},
	);
}

function passwordOf(url: URL, file: string | undefined): string | null {
	if (file !== undefined) return fileText(file, "the password file").trim();
	return url.password === "" ? null : decodeURIComponent(url.password);
}

function fileText(path: string, what: string): string {
	try {
		return readFileSync(path, "utf8");
	} catch (cause) {
		throw configError("bad_config", `${what} ${path} cannot be read: ${messageOf(cause)}.`, {
			fix: "Check its path and permissions.",
			cause,
		});
	}
}

function hostOf(server: string): string {
	return server.replace(/:\d+$/, "");
}

/** A Unix socket, or this machine. */
function isNear(host: string): boolean {
	return host.startsWith("/") || isLoopback(host);
}
