import { verify, X509Certificate } from "node:crypto";
import { certificatesIn } from "@warren/net";
import { z } from "zod";
import type { SignedRoster } from "../coordinator/roster-signer.ts";

export interface VerifiedRoster {
	readonly peerId: string;
	readonly ula: string;
	/** Milliseconds since the Unix epoch; 0 where nobody signed. */
	readonly signedAt: number;
	readonly peers: unknown[];
}

const content = z.object({
	peer_id: z.string(),
	ula: z.string(),
	signed_at: z.number().default(0),
	peers: z.array(z.unknown()).max(100_000),
});
const serverAuth = "1.3.6.1.5.5.7.3.1";

/**
 * A roster that a coordinator of this CA signed: a peer's certificate does not do, and a certificate that had ended when
 * it signed neither. @param caPem one or several; null = insecure mode, where there are no signatures.
 * @returns null when it proves nothing.
 */
export function verifyRoster(signed: SignedRoster, caPem: string | null): VerifiedRoster | null {
	try {
		const roster = content.parse(JSON.parse(signed.roster));
		const verified = { peerId: roster.peer_id, ula: roster.ula, signedAt: roster.signed_at, peers: roster.peers };
		if (caPem === null) return signed.signature === null ? verified : null;
		if (signed.signature === null || signed.certificate === null) return null;
		const leaf = new X509Certificate(signed.certificate);
		const ca = certificatesIn(caPem)
			.map((each) => new X509Certificate(each))
			.find((each) => leaf.checkIssued(each) && leaf.verify(each.publicKey));
		const inTime = Date.parse(leaf.validFrom) <= roster.signed_at && roster.signed_at <= Date.parse(leaf.validTo);
		if (ca === undefined || !inTime || leaf.keyUsage?.includes(serverAuth) !== true) return null;
		const algorithm = leaf.publicKey.asymmetricKeyType === "ed25519" ? null : "sha256";
		return verify(algorithm, Buffer.from(signed.roster), leaf.publicKey, Buffer.from(signed.signature, "base64"))
			? verified
			: null;
	} catch {
		// Not a roster, or not a certificate: it proves nothing.
		return null;
	}
}
