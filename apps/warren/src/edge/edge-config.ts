import { X509Certificate } from "node:crypto";
import { existsSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { z } from "zod";
import { type BackboneConfig, backboneDomain, parseBackboneConfig } from "../config/backbone-config.ts";
import { clusterVariables, databaseVariables } from "../config/cluster-config.ts";
import { type CoordinatorConfig, parseCoordinatorConfig } from "../config/coordinator-config.ts";
import { type GatewayConfig, parseGatewayConfig } from "../config/gateway-config.ts";
import { machinePlace } from "../config/server-config.ts";
import { readSettings } from "../config/settings.ts";
import { ownNames } from "../node/certificates.ts";

const port = z.coerce.number().pipe(z.int().min(0).max(65535));
const schema = z.object({
	data: z.string().min(1),
	json: z.boolean().default(false),
	logLevel: z.enum(["debug", "info", "warn", "error"]).default("info"),
	coordinatorPort: port.default(8888),
	stunPort: port.default(3478),
	/** Off until asked: a gateway is for other people's warrens. */
	gateway: z.boolean().default(false),
	gatewayPort: port.default(4000),
	backbonePort: port.default(5152),
	backboneDomain,
});

const variables: Readonly<Record<keyof z.infer<typeof schema>, string>> = {
	data: "WARREN_DATA",
	json: "WARREN_JSON",
	logLevel: "WARREN_LOG_LEVEL",
	coordinatorPort: "WARREN_COORDINATOR_PORT",
	stunPort: "WARREN_STUN_PORT",
	gateway: "WARREN_GATEWAY",
	gatewayPort: "WARREN_GATEWAY_PORT",
	backbonePort: "WARREN_BACKBONE_PORT",
	backboneDomain: "WARREN_BACKBONE_DOMAIN",
};

export interface EdgeConfig {
	readonly json: boolean;
	readonly logLevel: "debug" | "info" | "warn" | "error";
	readonly coordinator: CoordinatorConfig;
	readonly gateway: GatewayConfig | null;
	readonly backbone: BackboneConfig;
}

/** What the private process leaves for this one: below the data folder, so that the CA's key stays where it is. */
export function edgeFiles(data: string) {
	const folder = join(data, "edge");
	return {
		folder,
		cert: join(folder, "tls", "edge.crt"),
		key: join(folder, "tls", "edge.key"),
		ca: join(folder, "tls", "ca.crt"),
		policy: join(folder, "policy.json"),
		/** SHA-256, hex, of the token by which this machine's private process administers coordinator and backbone. */
		consoleHash: join(folder, "backbone-console.hash"),
		/** Of the backbone's own CA, where the warren's may not speak for its domain. */
		backboneCa: join(folder, "backbone", "backbone-ca", "ca.crt"),
	};
}

/** Machines of a warren by their certificates alone. */
export const machineTag = "machine";

/**
 * The settings of the edge process of `warren up`: coordinator, backbone, and the gateway when asked.
 * @param data of the machine.
 * @throws WarrenError `bad_config`.
 */
export function parseEdgeConfig(
	flags: Readonly<Record<string, unknown>>,
	environment: Readonly<Record<string, string | undefined>>,
	data: string,
): EdgeConfig {
	const { json, logLevel, coordinatorPort, stunPort, gateway, gatewayPort, backbonePort, backboneDomain } =
		readSettings(
			{ name: "edge", schema, variables },
			// Its ports have variables alone: the flags are the node's.
			{ json: flags["json"], logLevel: flags["logLevel"], data },
			environment,
		);
	const files = edgeFiles(data);
	const place = machinePlace(flags, environment);
	const host = place.host ?? "0.0.0.0";
	const common = { json, logLevel };
	return {
		...common,
		coordinator: parseCoordinatorConfig(
			{
				...common,
				...{ host, port: coordinatorPort, stunPort, policyFile: files.policy },
				data: join(files.folder, "coordinator"),
				...{ tlsCert: files.cert, tlsKey: files.key, tlsCa: files.ca },
				defaultTag: [machineTag],
			},
			withoutShared(environment),
		),
		gateway: gateway
			? parseGatewayConfig(
					{ ...common, data: join(files.folder, "gateway"), host, port: gatewayPort },
					withoutShared(environment),
				)
			: null,
		backbone: parseBackboneConfig(
			{
				...common,
				...{ host, port: backbonePort, domain: backboneDomain, http: false },
				// Machines reach it by whichever name they reach the hub.
				hostname: ownNames(place),
				data: join(files.folder, "backbone"),
				// The machine's own files are for the machine's own name.
				...(speaksFor(files.cert, backboneDomain) ? { tlsCert: files.cert, tlsKey: files.key } : {}),
			},
			withoutServerFiles(environment),
		),
	};
}

/** Whether a certificate covers a domain and what lies below it. */
function speaksFor(file: string, domain: string): boolean {
	return existsSync(file) && namesOf(readFileSync(file)).includes(`*.${domain}`);
}

/** @throws Error of what is no certificate. */
export function namesOf(pem: string | Buffer): string[] {
	const { subjectAltName = "" } = new X509Certificate(pem);
	return subjectAltName.split(", ").flatMap((each) => (each.startsWith("DNS:") ? [each.slice(4)] : []));
}

/** The file's sections are of roles that run alone. Names, TLS files and shared state of the environment are the node's own. */
function withoutServerFiles(environment: Readonly<Record<string, string | undefined>>) {
	const { WARREN_TLS_CERT: _cert, WARREN_TLS_KEY: _key, WARREN_HTTP: _http, ...rest } = environment;
	return withoutShared(rest);
}

function withoutShared(environment: Readonly<Record<string, string | undefined>>) {
	const shared = new Set<string>([
		"WARREN_CONFIG",
		...Object.values(clusterVariables),
		...Object.values(databaseVariables),
	]);
	return Object.fromEntries(Object.entries(environment).filter(([name]) => !shared.has(name)));
}
