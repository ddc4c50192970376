import { X509Certificate } from "node:crypto";
import { readFileSync, renameSync, writeFileSync } from "node:fs";
import { type Audit, defineErrors, hashToken, Lifetime, messageOf, newSecret } from "@warren/kernel";
import { HostTable, Listener, type TlsIdentity } from "@warren/net";
import {
	Coordinator,
	coordinatorSchema,
	joinAuthorityAt,
	joinAuthorityFrom,
	openRevocationFile,
	SqliteAddressStore,
} from "@warren/overlay";
import { AuditLog, type AuditTable, auditSchema, openSqliteTables } from "@warren/store";
import type { RoleDeps, RunningRole } from "../cli/run-role.ts";
import type { CoordinatorConfig } from "../config/coordinator-config.ts";
import { DataFolder } from "../config/data-folder.ts";
import { type CertificateFiles, readCertificateFiles, watchCertificateFiles } from "./certificate-files.ts";

const roleError = defineErrors({ bad_config: { status: 500 } });

/** Joiners hold a stream and two relay lanes each. */
const maxConnections = 65_536;

/** The overlay's control plane on a port of its own: the only one that asks for client certificates. */
export async function openCoordinator(
	deps: RoleDeps,
	config: CoordinatorConfig,
	shared: { readonly adminTokenHashes?: readonly string[] } = {},
): Promise<RunningRole> {
	const { clock, random, logger } = deps;
	const lifetime = new Lifetime();
	try {
		const tls = config.insecure ? null : readCertificateFiles(certificateFiles(config));
		const data = config.data === undefined ? null : lifetime.own(DataFolder.open(config.data));
		const tables =
			data === null
				? null
				: lifetime.own(
						await openSqliteTables<AuditTable>(data.file("coordinator.db"), [auditSchema, coordinatorSchema]),
					);
		const store = tables === null ? null : new SqliteAddressStore(tables.statements);
		const audit: Audit =
			tables === null
				? { record: (event) => logger.info("audit", { ...event }), list: async () => [] }
				: new AuditLog(tables.db, clock, logger);
		const revocations =
			config.tlsCrl === undefined || tls === null
				? undefined
				: await openRevocationFile(config.tlsCrl, tls.clientCa as string);
		const admin = adminToken(config, data, () => newSecret(random));
		const policyFile = config.policyFile;
		const policy = policyFile === undefined ? (store?.policy() ?? null) : readPolicyFile(policyFile);
		const coordinator = lifetime.own(
			await Coordinator.open(
				{
					clock,
					random,
					logger,
					audit,
					addresses: store,
					joinTokens:
						config.authUrl !== undefined
							? joinAuthorityAt(
									config.authUrl,
									clock,
									config.authCa === undefined ? undefined : readFileSync(config.authCa, "utf8"),
								)
							: config.joinTokens !== undefined
								? joinAuthorityFrom(config.joinTokens, clock)
								: null,
					...(revocations === undefined ? {} : { revocations }),
				},
				{
					tls,
					...(policy === null ? {} : { policy }),
					savePolicy: (text) => (policyFile === undefined ? store?.savePolicy(text) : replaceFile(policyFile, text)),
					adminTokenHashes: [...(admin === null ? [] : [hashToken(admin)]), ...(shared.adminTokenHashes ?? [])],
					defaultTags: config.defaultTag,
					stunPort: config.stun ? config.stunPort : null,
					host: config.host,
				},
			),
		);
		const hosts = new HostTable(["localhost", ...config.hostname, ...(tls === null ? [] : namesIn(tls.cert))]);
		const listener = lifetime.own(
			await Listener.open(
				{ clock, logger },
				{
					role: "coordinator",
					host: config.host,
					port: config.port,
					tls,
					hosts,
					routes: coordinator.routes,
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
				listener.setCertificate(renewed);
				coordinator.useCertificate(renewed);
			};
			lifetime.own(watchCertificateFiles(certificateFiles(config), logger, use));
		}
		const url = `${tls === null ? "http" : "https"}://${config.host.includes(":") ? `[${config.host}]` : config.host}:${listener.port}`;
		const ready = {
			url,
			port: listener.port,
			stunPorts: coordinator.stunPorts,
			secure: tls !== null,
			data: config.data ?? null,
			pid: process.pid,
		};
		return { ready, greeting: greeting(config, url, coordinator), close: () => lifetime.close() };
	} catch (failure) {
		await lifetime.close();
		throw failure;
	}
}

function greeting(config: CoordinatorConfig, url: string, coordinator: Coordinator): string {
	const lines = [`The coordinator listens on ${url}.`];
	if (coordinator.stunPorts.length > 0) lines.push(`STUN answers on UDP ${coordinator.stunPorts.join(" and ")}.`);
	lines.push(
		config.data === undefined
			? "State is in memory: peers come back by themselves after a restart."
			: `State is in ${config.data}.`,
	);
	for (const condition of coordinator.health.list())
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

/** Whole or not at all. */
function replaceFile(path: string, text: string): void {
	writeFileSync(`${path}.new`, text, { mode: 0o600, flush: true });
	renameSync(`${path}.new`, path);
}
