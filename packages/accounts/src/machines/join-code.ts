import { createHash, X509Certificate } from "node:crypto";

/**
 * What a person carries from one machine to the next: `wj_<secret>_<fingerprint>`, the fingerprint being the base64url
 * SHA-256 of the CA's DER. Both parts may hold underscores, so it is split by length: the last 43 characters are the
 * fingerprint.
 */
export const joinCodePrefix = "wj_";
const fingerprintLength = 43;

export interface JoinCode {
	/** What the hub knows, hashed. The fingerprint is never sent: it is for the machine that joins. */
	readonly secret: string;
	readonly fingerprint: string;
}

export function formatJoinCode(code: JoinCode): string {
	return `${joinCodePrefix}${code.secret}_${code.fingerprint}`;
}

/** @returns null when the text is no join code. Space around a pasted one is forgiven. */
export function parseJoinCode(text: string): JoinCode | null {
	const code = text.trim();
	const secret = code.slice(joinCodePrefix.length, -(fingerprintLength + 1));
	const fingerprint = code.slice(-fingerprintLength);
	if (!code.startsWith(joinCodePrefix) || code.at(-(fingerprintLength + 1)) !== "_") return null;
	if (!/^[A-Za-z0-9_-]{20,100}$/.test(secret) || !/^[A-Za-z0-9_-]{43}$/.test(fingerprint)) return null;
	return { secret, fingerprint };
}

/** What is wrong with a text that is no join code, in words for whoever pasted it. */
export function joinCodeFault(text: string): string {
	const code = text.trim();
	if (/[#?&]pair=/.test(code))
		return "This is a link that pairs a phone or a browser; a machine joins with a code of its own.";
	if (code === "") return "The join code is empty.";
	const whole = joinCodePrefix.length + 2 * fingerprintLength + 1;
	if (!code.startsWith(joinCodePrefix)) return `This is no join code: one begins with ${joinCodePrefix}.`;
	if (code.length !== whole)
		return `This join code is not whole: it has ${code.length} characters, and one has ${whole}.`;
	return `This is no join code: behind ${joinCodePrefix} stand letters, digits, "-" and "_" alone.`;
}

/** @param certificate PEM or DER. */
export function joinFingerprint(certificate: string | Uint8Array): string {
	return createHash("sha256").update(new X509Certificate(certificate).raw).digest("base64url");
}
