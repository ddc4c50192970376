import { X509Certificate } from "node:crypto";
import { defineErrors, type NodeId } from "@warren/kernel";

export const certificateError = defineErrors({
	bad_certificate: { status: 500 },
	bad_csr: { status: 400 },
	name_not_allowed: { status: 400 },
});

export const authorityLimits = {
	authorityDays: 3650,
	/** Apple refuses leaves of user-installed roots above 825 days; others above 398. */
	leafDays: 397,
	/** Issued a little in the past, for clocks that lag. */
	backdateMs: 3600 * 1000,
	maxNames: 64,
} as const;

/** A certificate with its private key, both PEM. The key is PKCS #8. */
export interface CertifiedKey {
	readonly cert: string;
	readonly key: string;
}

export interface LeafRequest {
	/** Common name: who the certificate is for. */
	readonly name: string;
	/** Host names and addresses. */
	readonly hosts: readonly string[];
	/** Which machine of the warren it is for: stands in the certificate as a URI, and is what its peers believe. */
	readonly nodeId?: string;
	/** Further names as URIs (`urn:…`): who it is for, and what it may, beyond its hosts. */
	readonly uris?: readonly string[];
	readonly days?: number;
	/** Servers present it; machines also show it as clients. */
	readonly usages?: readonly ("server" | "client")[];
}

/** What makes a machine's identifier a name in a certificate (RFC 5280 §4.2.1.6). */
export const nodeUri = "urn:warren:node:";

/** Each certificate of a PEM text by itself: a CA that is being replaced stands beside the next one. */
export function certificatesIn(pem: string): string[] {
	return pem.match(/-----BEGIN CERTIFICATE-----[^-]*-----END CERTIFICATE-----/g) ?? [];
}

/** The machine that a certificate is for, or null when it names none. @param der the certificate. */
export function nodeIdOf(der: Uint8Array): NodeId | null {
	const names = new X509Certificate(der).subjectAltName ?? "";
	return (/(?:^|, )URI:urn:warren:node:([a-z0-9]{8,40})(?:,|$)/.exec(names)?.[1] ?? null) as NodeId | null;
}
