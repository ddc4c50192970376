import { X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import {
	type Audit,
	type Clock,
	defineErrors,
	delay,
	HealthTable,
	hashToken,
	Lifetime,
	messageOf,
	newId,
	newSecret,
} from "@warren/kernel";
import { certificateSchemes, describedRoutes, HostTable, Listener, type TlsIdentity } from "@warren/net";
import {
	Coordinator,
	type CoordinatorDeps,
	type CoordinatorOptions,
	coordinatorSchema,
	type JoinAuthority,
	joinAuthorityAt,
	joinAuthorityFrom,
	openRevocationFile,
	SharedCoordinatorState,
	SqliteAddressStore,
	StunServer,
	sharedCoordinatorSchema,
} from "@warren/overlay";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables, SharedClock } from "@warren/store";
import type { RoleDeps, RunningRole } from "../cli/run-role.ts";
import { openLedRole } from "../cluster/led-role.ts";
import type { DatabaseConfig } from "../config/cluster-config.ts";
import type { CoordinatorConfig } from "../config/coordinator-config.ts";
import { DataFolder } from "../config/data-folder.ts";
import { writeWhole } from "../config/write-whole.ts";
import { version } from "../version.ts";
import { type CertificateFiles, readCertificateFiles, watchCertificateFiles } from "./certificate-files.ts";

const roleError = defineErrors({ bad_config: { status: 500 } });

/** Joiners hold a stream and two relay lanes each. */
const maxConnections = 65_536;
/** For what a stopping leader has still to write. */
const settleMs = 5_000;

export interface CoordinatorRole extends RunningRole {
	/** Null where another instance may lead. */
	readonly listener: Listener | null;
}

/** The overlay's control plane on a port of its own: the only one that asks for client certificates. */
export async function openCoordinator(
	deps: RoleDeps,
	config: CoordinatorConfig,
	shared: { readonly adminTokenHashes?: readonly string[] } = {},
): Promise<CoordinatorRole> {
	const lifetime = new Lifetime();
	try {
		const tls = readTls(config);
		const running =
			config.shared === null
				? await openAlone(deps, config, shared.adminTokenHashes ?? [], lifetime)
				: await openLed(deps, config, config.shared, lifetime);
		const url = `${tls === null ? "http" : "https"}://${config.host.includes(":") ? `[${config.host}]` : config.host}:${running.port}`;
		const ready = {
			url,
			port: running.port,
			stunPorts: running.stunPorts,
			secure: tls !== null,
			data: config.data ?? null,
			pid: process.pid,
		};
		return {
			listener: running.listener,
			ready,
			greeting: greeting(config, url, running.stunPorts, running.coordinator),
			close: () => lifetime.close(),
		};
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}

interface Running {
	readonly port: number;
	readonly stunPorts: readonly number[];
	/** Null where another instance may lead. */
	readonly coordinator: Coordinator | null;
	readonly listener: Listener | null;
}

async function openAlone(
	deps: RoleDeps,
	config: CoordinatorConfig,
	adminTokenHashes: readonly string[],
	lifetime: Lifetime,
): Promise<Running> {
	const { clock, random, logger } = deps;
	const data = config.data === undefined ? null : lifetime.own(DataFolder.open(config.data));
	const tables =
		data === null
			? null
			: lifetime.own(await openSqliteTables<AuditTable>(data.file("coordinator.db"), [auditSchema, coordinatorSchema]));
	const store = tables === null ? null : new SqliteAddressStore(tables.statements);
	const audit: Audit =
		tables === null
			? { record: (event) => logger.info("audit", { ...event }), list: async () => [] }
			: new AuditLog(tables.db, clock, logger, { role: "coordinator" });
	const policyFile = config.policyFile;
	const policy = policyFile === undefined ? (store?.policy() ?? null) : readPolicyFile(policyFile);
	const { coordinator, listener } = await serve(
		deps,
		config,
		{ audit, addresses: store },
		{
			...(policy === null ? {} : { policy }),
			savePolicy: (text) => (policyFile === undefined ? store?.savePolicy(text) : writeWhole(policyFile, text)),
			adminTokenHashes: [...hashesOf(adminToken(config, data, () => newSecret(random))), ...adminTokenHashes],
			stunPort: config.stun ? config.stunPort : null,
		},
		{ host: config.host, port: config.port },
		lifetime,
	);
	return { port: listener.port, stunPorts: coordinator.stunPorts, coordinator, listener };
}

/** One of several. STUN answers at each: an address is seen from where one asks. */
async function openLed(
	deps: RoleDeps,
	config: CoordinatorConfig,
	shared: DatabaseConfig,
	lifetime: Lifetime,
): Promise<Running> {
	const { random, logger } = deps;
	const role = "coordinator";
	const stun = config.stun ? lifetime.own(await StunServer.open(config.host, config.stunPort, deps.clock)) : null;
	const stunPorts = stun?.ports ?? [];
	const first = config.policyFile === undefined ? null : readPolicyFile(config.policyFile);
	const led = await openLedRole<AuditTable>(deps, {
		...{ role, host: config.host, port: config.port, shared, maxConnections },
		schemas: [auditSchema, sharedCoordinatorSchema],
		serve: async ({ db }, epoch, own) => {
			const health = new HealthTable(deps.clock);
			const clock = own.own(await SharedClock.open(db, { ...deps, health }));
			const state = await SharedCoordinatorState.load(db, { clock, logger }, role, epoch, newId(random, 8));
			// The file is the first policy's; after that the one in the database counts.
			if (state.policy === null && first !== null) state.savePolicy(first);
			const policy = state.policy ?? first;
			const { listener } = await serve(
				{ ...deps, clock },
				config,
				{ health, audit: new AuditLog(db, clock, logger, { role: "coordinator" }), addresses: null, shared: state },
				{
					...(policy === null ? {} : { policy }),
					savePolicy: (text) => state.savePolicy(text),
					adminTokenHashes: hashesOf(config.adminToken ?? null),
					stunPort: null,
					stunPorts,
				},
				{ host: "127.0.0.1", port: 0 },
				own,
			);
			// Another's lead ends what this one still has to write; its own end waits for it.
			return { listener, close: () => Promise.race([state.settled().catch(() => {}), delay(clock, settleMs)]) };
		},
	});
	lifetime.own(led);
	return { port: led.port, stunPorts, coordinator: null, listener: null };
}

async function serve(
	deps: RoleDeps,
	config: CoordinatorConfig,
	state: Pick<CoordinatorDeps, "audit" | "addresses" | "shared" | "health">,
	options: Omit<CoordinatorOptions, "tls" | "host" | "defaultTags">,
	where: { readonly host: string; readonly port: number },
	lifetime: Lifetime,
): Promise<{ readonly coordinator: Coordinator; readonly listener: Listener }> {
	const { clock, logger } = deps;
	const tls = readTls(config);
	let clientCa = tls?.clientCa ?? "";
	const revocations =
		config.tlsCrl === undefined || tls === null ? undefined : await openRevocationFile(config.tlsCrl, () => clientCa);
	const coordinator = lifetime.own(
		await Coordinator.open(
			{
				...deps,
				...state,
				joinTokens: joinTokensOf(config, clock),
				...(revocations === undefined ? {} : { revocations }),
			},
			{ ...options, tls, defaultTags: config.defaultTag, host: config.host },
		),
	);
	const hosts = new HostTable(["localhost", ...config.hostname, ...(tls === null ? [] : namesIn(tls.cert))]);
	const listener = lifetime.own(
		await Listener.open(
			{ clock, logger, tracer: deps.tracer },
			{
				role: "coordinator",
				...where,
				tls,
				hosts,
				routes: describedRoutes(coordinator.routes, {
					owner: "coordinator",
					title: "Warren coordinator",
					version,
					credentials: tls === null ? ["none"] : ["node"],
					schemes: certificateSchemes,
				}),
				authenticator: coordinator.authenticator,
				trustedProxies: config.trustedProxy,
				limits: { maxConnections },
			},
		),
	);
	coordinator.listening(listener);
	if (tls !== null) {
		const use = (renewed: TlsIdentity) => {
			for (const name of namesIn(renewed.cert)) hosts.add(name);
			clientCa = renewed.clientCa ?? clientCa;
			listener.setCertificate(renewed);
			coordinator.useCertificate(renewed);
		};
		lifetime.own(watchCertificateFiles(certificateFiles(config), logger, use));
	}
	return { coordinator, listener };
}

function joinTokensOf(config: CoordinatorConfig, clock: Clock): JoinAuthority | null {
	const ca = config.authCa === undefined ? undefined : readFileSync(config.authCa, "utf8");
	if (config.authUrl !== undefined) return joinAuthorityAt(config.authUrl, clock, ca);
	return config.joinTokens === undefined ? null : joinAuthorityFrom(config.joinTokens, clock);
}

function hashesOf(token: string | null): string[] {
	return token === null ? [] : [hashToken(token)];
}

/** As the files say now. */
function readTls(config: CoordinatorConfig): TlsIdentity | null {
	return config.insecure ? null : readCertificateFiles(certificateFiles(config));
}

function greeting(
	config: CoordinatorConfig,
	url: string,
	stunPorts: readonly number[],
	coordinator: Coordinator | null,
): string {
	const lines = [`The coordinator listens on ${url}.`];
	if (stunPorts.length > 0) lines.push(`STUN answers on UDP ${stunPorts.join(" and ")}.`);
	lines.push(
		config.shared !== null
			? "State is in PostgreSQL; of all instances on it one leads, the others carry connections to it."
			: config.data === undefined
				? "State is in memory: peers come back by themselves after a restart."
				: `State is in ${config.data}.`,
	);
	for (const condition of coordinator?.health.list() ?? [])
		lines.push(`${condition.severity}: ${condition.title} ${condition.advice}`);
	return `${lines.join("\n")}\n`;
}

function certificateFiles(config: CoordinatorConfig): CertificateFiles {
	const { tlsCert, tlsKey, tlsCa } = config as CertificateFiles;
	return { tlsCert, tlsKey, tlsCa };
}

/** The certificate says by which names this server may be called. */
function namesIn(cert: string): string[] {
	return [...(new X509Certificate(cert).subjectAltName ?? "").matchAll(/(?:DNS|IP Address):([^,\s]+)/g)].map(
		(match) => match[1] as string,
	);
}

/** From the environment; else made once and kept in the state folder; else there is none. */
function adminToken(config: CoordinatorConfig, data: DataFolder | null, make: () => string): string | null {
	if (config.adminToken !== undefined) return config.adminToken;
	if (data === null) return null;
	const kept = data.read("admin.token");
	if (kept !== null) return kept.trim();
	const made = make();
	data.write(`${made}\n`, "admin.token");
	return made;
}

function readPolicyFile(path: string): string {
	try {
		return readFileSync(path, "utf8");
	} catch (cause) {
		throw roleError("bad_config", `The policy ${path} cannot be read: ${messageOf(cause)}.`, {
			fix: 'Correct --policy-file. A policy that refuses everything is: {"acls":[]}',
			cause,
		});
	}
}
