import { createHash, X509Certificate } from "node:crypto";
import type { Fingerprint } from "@warren/kernel";

/** SHA-256 over a certificate's DER: lower-case hex, colons between bytes. */
export function fingerprintOf(der: Uint8Array): Fingerprint {
	const hex = createHash("sha256").update(der).digest("hex");
	return (hex.match(/../g) as string[]).join(":") as Fingerprint;
}

/** @param pem one certificate or a chain; the first counts. */
export function fingerprintOfPem(pem: string): Fingerprint {
	return fingerprintOf(new X509Certificate(pem).raw);
}

/** Takes the spellings that people and tools use (upper case, no colons). @returns null when it is not a SHA-256 fingerprint. */
export function parseFingerprint(text: string): Fingerprint | null {
	const hex = text.trim().toLowerCase().replaceAll(":", "");
	return /^[0-9a-f]{64}$/.test(hex) ? ((hex.match(/../g) as string[]).join(":") as Fingerprint) : null;
}
