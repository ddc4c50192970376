import { openBackbone } from "@warren/backbone";
import { type Authenticator, HealthTable, Lifetime } from "@warren/kernel";
import type { Route } from "@warren/net";
import { AuditLog } from "@warren/store";
import type { RoleDeps } from "../cli/run-role.ts";
import type { BackboneConfig } from "../config/backbone-config.ts";
import { DataFolder } from "../config/data-folder.ts";
import { refuseLeft } from "../migrate/left-database.ts";
import { version } from "../version.ts";
import { openAcme } from "./acme/acme.ts";
import { openBackboneState } from "./backbone-state.ts";
import { backboneTls } from "./backbone-tls.ts";

/** The one line of `--json`. */
export interface BackboneReady {
	readonly url: string;
	readonly port: number;
	readonly domain: string;
	readonly data: string;
	readonly pid: number;
	readonly caFingerprint: string | null;
	/** Where names are proven over HTTP; null = elsewhere. */
	readonly acmeHttpPort: number | null;
}

export interface BackboneRole {
	readonly ready: BackboneReady;
	/** Of its own API. */
	readonly routes: readonly Route[];
	/** Made on the first run and shown this once; null when it is known already. */
	readonly adminToken: string | null;
	setCertificate(cert: string, key: string): void;
	close(): Promise<void>;
}

/** The backbone on a data folder of its own, or on one that a node has opened already. */
export async function openBackboneRole(
	deps: RoleDeps,
	config: BackboneConfig,
	shared: {
		readonly data?: DataFolder;
		readonly health?: HealthTable;
		readonly authenticators?: readonly Authenticator[];
		/** SHA-256, hex, of administrators' tokens beside the one of `config`. */
		readonly adminTokenHashes?: readonly string[];
	} = {},
): Promise<BackboneRole> {
	const { random, logger } = deps;
	const lifetime = new Lifetime();
	try {
		const data = shared.data ?? lifetime.own(DataFolder.open(config.data));
		const health = shared.health ?? new HealthTable(deps.clock);
		const state = await openBackboneState({ ...deps, data, health, lifetime }, config);
		if (config.cluster !== null) await refuseLeft(state.tables.db, "backbone");
		const { tables, bus, kv, clock, nodeId, masterSecret, signingKeys, adminToken } = state;
		const tls = await backboneTls(deps, config, data, health);
		const backbone = await openBackbone(
			{
				clock,
				random,
				logger,
				tracer: deps.tracer,
				db: tables.db,
				audit: new AuditLog(tables.db as never, clock, logger, { role: "backbone" }),
				health,
				bus,
				kv,
				...(shared.authenticators === undefined ? {} : { authenticators: shared.authenticators }),
			},
			{
				domain: config.domain,
				...(config.host === undefined ? {} : { host: config.host }),
				port: config.port,
				tls: tls.front,
				hosts: ["localhost", ...config.hostname],
				trustedProxies: config.trustedProxy,
				adminTokenHashes: [state.adminHash, ...(shared.adminTokenHashes ?? [])],
				masterSecret,
				signingKeys,
				nodeId,
				version,
				...(config.cluster === null ? {} : { cluster: { url: config.clusterUrl ?? null, ca: tls.caPem } }),
				approval: config.approvePrincipals,
				streamPorts: config.streamPorts,
				...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl.replace(/\/$/, "") }),
			},
		);
		lifetime.own(backbone);
		const { certificates } = backbone;
		const sharing = state.shared === null ? null : { secrets: state.shared, bus, node: nodeId };
		const acme =
			config.acme && certificates !== null
				? lifetime.own(
						await openAcme({ ...deps, clock }, config, { data, health, backbone, certificates, shared: sharing }),
					)
				: null;
		// Only now: a token of a start that failed was shown to nobody.
		if (adminToken !== null) data.write(`${state.adminHash}\n`, "backbone", "admin.hash");
		return {
			ready: {
				url: backbone.url,
				port: backbone.port,
				domain: config.domain,
				data: data.path,
				pid: process.pid,
				caFingerprint: tls.caFingerprint,
				acmeHttpPort: acme?.httpPort ?? null,
			},
			routes: backbone.routes,
			adminToken,
			setCertificate: (cert, key) => certificates?.setStandard({ cert, key }),
			close: () => lifetime.close(),
		};
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}
