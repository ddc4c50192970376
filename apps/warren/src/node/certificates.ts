import { createPrivateKey, X509Certificate } from "node:crypto";
import { readFileSync } from "node:fs";
import { isIP } from "node:net";
import { hostname, networkInterfaces } from "node:os";
import type { Clock, ConditionKind, Fingerprint, HealthTable, Random } from "@warren/kernel";
import { Authority, canonicalHost, certificateError, fingerprintOfPem, type TlsIdentity } from "@warren/net";
import type { DataFolder } from "../config/data-folder.ts";
import type { ServerConfig } from "../config/server-config.ts";

export const certificateExpiring: ConditionKind = {
	code: "certificate-expiring",
	severity: "warning",
	title: "The certificate in {file} ends on {date}.",
	advice: "Renew it and start the node again.",
	delayMs: 0,
};

/** Names that were given after the CA was made, which may not speak for them. */
export const nameNotCertified: ConditionKind = {
	code: "name-not-certified",
	severity: "warning",
	title: "The certificate leaves out {names}: the local CA was made without it.",
	advice:
		"Give a certificate for it with --tls-cert and --tls-key, or call this machine by a name that it had at first.",
	delayMs: 0,
};

const dayMs = 24 * 3600 * 1000;
/** A leaf of ours is renewed this long before its end. */
export const renewBeforeMs = 60 * dayMs;
const warnBeforeMs = 14 * dayMs;

export interface NodeCertificates {
	readonly tls: TlsIdentity;
	readonly fingerprint: Fingerprint;
	/** Null when this machine holds no CA: own files, or it joined another's warren. */
	readonly authority: Authority | null;
	/** What devices install to trust this warren; null with own files. */
	readonly ca: CaCertificate | null;
}

/** The public half of the warren's CA. `Authority` is one. */
export interface CaCertificate {
	readonly certPem: string;
	readonly fingerprint: Fingerprint;
	readonly name: string;
	/** Milliseconds since the Unix epoch. */
	readonly notAfter: number;
	readonly der: Uint8Array;
}

/** Names by which this machine may be called, without its addresses. */
export function ownNames(config: Pick<ServerConfig, "name" | "hostname">): string[] {
	const host = canonicalHost(hostname());
	const short = host.split(".")[0] as string;
	const name = canonicalHost(config.name);
	const names = [
		"localhost",
		host,
		short,
		`${short}.local`,
		...(/^[a-z0-9-]+$/.test(name) ? [`${name}.warren.internal`] : []),
		...config.hostname,
	];
	return [...new Set(names.map(canonicalHost))].filter((each) => each !== "");
}

/** This machine's addresses, loopback included, link-local left out (they need a zone, which no certificate has). */
export function ownAddresses(): string[] {
	const addresses = Object.values(networkInterfaces()).flatMap((list) =>
		(list ?? []).map((each) => each.address.split("%")[0] as string),
	);
	return [...new Set(["127.0.0.1", "::1", ...addresses])].filter((address) => !address.startsWith("fe80:"));
}

/**
 * Own files when given; else the warren's CA and a leaf from it, made on the first run. A leaf stays the same until it
 * must change, because peers that never joined have pinned it.
 * @param nodeId stands in a leaf that is made now; none for a role that is no node.
 */
export async function openCertificates(
	config: ServerConfig,
	data: DataFolder,
	clock: Clock,
	random: Random,
	health: HealthTable,
	nodeId?: string,
): Promise<NodeCertificates> {
	if (config.tlsCert !== undefined && config.tlsKey !== undefined)
		return ownFiles(config.tlsCert, config.tlsKey, clock, health);
	const joined = data.read("membership.json");
	if (joined !== null) return ofMember((JSON.parse(joined) as { ca: string }).ca, data, clock, health);
	const authority = await openAuthority(config, data, clock, random);
	const names = ownNames(config);
	const foreign = config.hostname.filter((name) => !authority.allows(canonicalHost(name)));
	if (foreign.length > 0) health.raise(nameNotCertified, { names: foreign.join(", ") });
	const cert = data.read("tls", "node.crt");
	const key = data.read("tls", "node.key");
	if (
		cert !== null &&
		key !== null &&
		isStillGood(
			{ cert, key },
			names.filter((name) => authority.allows(name)),
			authority,
			clock,
		)
	) {
		return {
			tls: { cert: cert + authority.certPem, key },
			fingerprint: fingerprintOfPem(cert),
			authority,
			ca: authority,
		};
	}
	const leaf = await authority.issue({
		name: config.name,
		hosts: [...names, ...ownAddresses()],
		...(nodeId === undefined ? {} : { nodeId }),
	});
	data.write(leaf.key, "tls", "node.key");
	data.write(leaf.cert, "tls", "node.crt");
	return {
		tls: { cert: leaf.cert + authority.certPem, key: leaf.key },
		fingerprint: fingerprintOfPem(leaf.cert),
		authority,
		ca: authority,
	};
}

async function openAuthority(config: ServerConfig, data: DataFolder, clock: Clock, random: Random): Promise<Authority> {
	const cert = data.read("ca", "ca.crt");
	const key = data.read("ca", "ca.key");
	if (cert !== null && key !== null) return Authority.load({ cert, key }, clock, random);
	const made = await Authority.create(
		`Warren of ${config.name}`,
		[...ownNames(config), ...ownAddresses()],
		clock,
		random,
	);
	data.write(made.pem.key, "ca", "ca.key");
	data.write(made.pem.cert, "ca", "ca.crt");
	return made.authority;
}

/** @param host a name, or an address: `checkHost` knows none. */
export function covers(leaf: X509Certificate, host: string): boolean {
	const name = canonicalHost(host);
	return (isIP(name) === 0 ? leaf.checkHost(name) : leaf.checkIP(name)) !== undefined;
}

/** Two files: after a power cut between them they need not belong together. @throws Error when the key is none. */
export function isPair(leaf: X509Certificate, key: string): boolean {
	return leaf.checkPrivateKey(createPrivateKey(key));
}

function isStillGood(tls: TlsIdentity, names: readonly string[], authority: Authority, clock: Clock): boolean {
	try {
		const leaf = new X509Certificate(tls.cert);
		if (!isPair(leaf, tls.key)) return false;
		if (!leaf.checkIssued(new X509Certificate(authority.certPem))) return false;
		if (Date.parse(leaf.validTo) - clock.now() < renewBeforeMs) return false;
		return names.every((name) => covers(leaf, name));
	} catch {
		// Unreadable: a new one replaces it.
		return false;
	}
}

function ownFiles(certFile: string, keyFile: string, clock: Clock, health: HealthTable): NodeCertificates {
	try {
		const cert = readFileSync(certFile, "utf8");
		const key = readFileSync(keyFile, "utf8");
		const end = Date.parse(new X509Certificate(cert).validTo);
		if (end - clock.now() < warnBeforeMs)
			health.raise(certificateExpiring, { file: certFile, date: new Date(end).toISOString().slice(0, 10) });
		return { tls: { cert, key }, fingerprint: fingerprintOfPem(cert), authority: null, ca: null };
	} catch (cause) {
		throw certificateError(
			"bad_certificate",
			`${certFile} and ${keyFile} cannot be used: ${(cause as Error).message}.`,
			{ fix: "Both must be PEM, the leaf first, readable by this user.", cause },
		);
	}
}

/** A joined machine shows the leaf that the first machine signed for it. */
function ofMember(caPem: string, data: DataFolder, clock: Clock, health: HealthTable): NodeCertificates {
	const cert = data.read("tls", "node.crt");
	const key = data.read("tls", "node.key");
	if (cert === null || key === null) {
		throw certificateError("bad_certificate", `${data.path} has joined a warren, and its certificate is gone.`, {
			fix: "Restore tls/ from a backup, or remove membership.json and join again.",
		});
	}
	const end = Date.parse(new X509Certificate(cert).validTo);
	if (end - clock.now() < warnBeforeMs) {
		health.raise(certificateExpiring, {
			file: data.file("tls", "node.crt"),
			date: new Date(end).toISOString().slice(0, 10),
		});
	}
	const ca = new X509Certificate(caPem);
	return {
		tls: { cert: cert + caPem, key },
		fingerprint: fingerprintOfPem(cert),
		authority: null,
		ca: {
			certPem: caPem,
			fingerprint: fingerprintOfPem(caPem),
			name: /CN=(.*)/.exec(ca.subject)?.[1] ?? "",
			notAfter: Date.parse(ca.validTo),
			der: ca.raw,
		},
	};
}
