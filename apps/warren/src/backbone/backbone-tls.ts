import { X509Certificate } from "node:crypto";
import type { FrontTls } from "@warren/backbone";
import type { ConditionKind, HealthTable } from "@warren/kernel";
import { Authority, canonicalHost, certificateError, type TlsIdentity } from "@warren/net";
import type { RoleDeps } from "../cli/run-role.ts";
import { type BackboneConfig, isPublicName, readText } from "../config/backbone-config.ts";
import type { DataFolder } from "../config/data-folder.ts";
import { certificateExpiring, covers, isPair, nameNotCertified, ownAddresses } from "../node/certificates.ts";

export interface BackboneTls {
	/** Null = plain HTTP on loopback. */
	readonly front: FrontTls | null;
	readonly caFingerprint: string | null;
	/** Of the local CA, where it certified; null = another's. */
	readonly caPem: string | null;
}

const backboneNameNotCertified: ConditionKind = {
	...nameNotCertified,
	advice:
		"Give a certificate for it (--tls-cert, --tls-key, or --acme). Or move {folder} away and start again: the CA made then speaks for it, and agents need the new ca.crt.",
};

const dayMs = 24 * 3600 * 1000;
const renewBeforeMs = 60 * dayMs;
const warnBeforeMs = 14 * dayMs;

/** Own files, or a leaf of the local CA for the domain and everything below it. */
export async function backboneTls(
	deps: RoleDeps,
	config: BackboneConfig,
	data: DataFolder,
	health: HealthTable,
): Promise<BackboneTls> {
	if (config.http) return { front: null, caFingerprint: null, caPem: null };
	if (config.tlsCert !== undefined && config.tlsKey !== undefined) {
		const cert = readText(config.tlsCert);
		try {
			const end = Date.parse(new X509Certificate(cert).validTo);
			if (end - deps.clock.now() < warnBeforeMs)
				health.raise(certificateExpiring, { file: config.tlsCert, date: new Date(end).toISOString().slice(0, 10) });
		} catch (cause) {
			throw certificateError("bad_certificate", `${config.tlsCert} cannot be used: ${(cause as Error).message}.`, {
				fix: "It must be PEM, the leaf first.",
				cause,
			});
		}
		return { front: { cert, key: readText(config.tlsKey) }, caFingerprint: null, caPem: null };
	}
	const { authority, folder } = await openAuthority(deps, config, data);
	const names = [config.domain, `*.${config.domain}`, "localhost", ...config.hostname, ...ownAddresses()];
	const isOurs = (name: string) => authority.allows(canonicalHost(name));
	const foreign = config.hostname.filter((name) => !isOurs(name) && !(config.acme && isPublicName(name)));
	if (foreign.length > 0)
		health.raise(backboneNameNotCertified, { names: foreign.join(", "), folder: data.file(folder) });
	const due = [config.domain, ...config.hostname].filter(isOurs);
	const cert = data.read("backbone", "leaf.crt");
	const key = data.read("backbone", "leaf.key");
	if (cert !== null && key !== null && isStillGood({ cert, key }, due, authority, deps.clock.now()))
		return {
			front: { cert: cert + authority.certPem, key },
			caFingerprint: authority.fingerprint,
			caPem: authority.certPem,
		};
	const leaf = await authority.issue({ name: config.domain, hosts: names, usages: ["server"] });
	data.write(leaf.key, "backbone", "leaf.key");
	data.write(leaf.cert, "backbone", "leaf.crt");
	return {
		front: { cert: leaf.cert + authority.certPem, key: leaf.key },
		caFingerprint: authority.fingerprint,
		caPem: authority.certPem,
	};
}

function isStillGood(tls: TlsIdentity, names: readonly string[], authority: Authority, now: number): boolean {
	try {
		const leaf = new X509Certificate(tls.cert);
		return (
			isPair(leaf, tls.key) &&
			leaf.checkIssued(new X509Certificate(authority.certPem)) &&
			Date.parse(leaf.validTo) - now > renewBeforeMs &&
			names.every((name) => covers(leaf, name))
		);
	} catch {
		// Unreadable: a new one replaces it.
		return false;
	}
}

/** The warren's CA where this machine has one that may speak for the domain; else one of the backbone's own. */
async function openAuthority(
	{ clock, random }: RoleDeps,
	config: BackboneConfig,
	data: DataFolder,
): Promise<{ authority: Authority; folder: string }> {
	for (const folder of ["ca", "backbone-ca"]) {
		const cert = data.read(folder, "ca.crt");
		const key = data.read(folder, "ca.key");
		if (cert === null || key === null) continue;
		const authority = await Authority.load({ cert, key }, clock, random);
		if (authority.allows(config.domain)) return { authority, folder };
	}
	const made = await Authority.create(
		`Backbone of ${config.domain}`,
		[config.domain, ...config.hostname, ...ownAddresses()],
		clock,
		random,
	);
	data.write(made.pem.key, "backbone-ca", "ca.key");
	data.write(made.pem.cert, "backbone-ca", "ca.crt");
	return { authority: made.authority, folder: "backbone-ca" };
}
