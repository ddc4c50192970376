import { type BackboneTables, backboneSchema, openBackbone, SigningKey } from "@warren/backbone";
import { type Authenticator, HealthTable, hashToken, Lifetime, newId, newSecret } from "@warren/kernel";
import { AuditLog, type AuditTable, auditSchema, MemoryBus, MemoryKeyValue, openSqliteTables } from "@warren/store";
import type { RoleDeps } from "../cli/run-role.ts";
import type { BackboneConfig } from "../config/backbone-config.ts";
import { DataFolder } from "../config/data-folder.ts";
import { openAcme } from "./acme/acme.ts";
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
	const { clock, random, logger } = deps;
	const lifetime = new Lifetime();
	try {
		const data = shared.data ?? lifetime.own(DataFolder.open(config.data));
		const health = shared.health ?? new HealthTable(clock);
		const tables = lifetime.own(
			await openSqliteTables<BackboneTables & AuditTable>(data.file("backbone.db"), [backboneSchema, auditSchema]),
		);
		const bus = new MemoryBus(logger);
		lifetime.own(bus);
		const kv = lifetime.own(new MemoryKeyValue(clock, logger));
		const kept = (name: string, make: () => string): { text: string; made: boolean } => {
			const found = data.read("backbone", name);
			if (found !== null) return { text: found.trim(), made: false };
			const text = make();
			data.write(`${text}\n`, "backbone", name);
			return { text: text.trim(), made: true };
		};
		const nodeId = kept("node-id", () => newId(random)).text;
		const masterSecret = config.masterSecret ?? kept("master.secret", () => newSecret(random)).text;
		const signingKey = kept("jwt.key", () => SigningKey.generate()).text;
		const knownHash =
			config.adminToken === undefined
				? (data.read("backbone", "admin.hash")?.trim() ?? null)
				: hashToken(config.adminToken);
		const adminToken = knownHash === null ? `wb_${newSecret(random)}` : null;
		const adminTokenHash = knownHash ?? hashToken(adminToken as string);
		const tls = await backboneTls(deps, config, data, health);
		const backbone = await openBackbone(
			{
				clock,
				random,
				logger,
				db: tables.db,
				audit: new AuditLog(tables.db as never, clock, logger),
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
				adminTokenHashes: [adminTokenHash, ...(shared.adminTokenHashes ?? [])],
				masterSecret,
				signingKey,
				nodeId,
				approval: config.approvePrincipals,
				streamPorts: config.streamPorts,
				...(config.publicUrl === undefined ? {} : { publicUrl: config.publicUrl.replace(/\/$/, "") }),
			},
		);
		lifetime.own(backbone);
		const { certificates } = backbone;
		const acme =
			config.acme && certificates !== null
				? lifetime.own(await openAcme(deps, config, { data, health, backbone, certificates }))
				: null;
		// Only now: a token of a start that failed was shown to nobody.
		if (adminToken !== null) data.write(`${adminTokenHash}\n`, "backbone", "admin.hash");
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
			adminToken,
			setCertificate: (cert, key) => certificates?.setStandard({ cert, key }),
			close: () => lifetime.close(),
		};
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}
