import { createHash, createPublicKey, type KeyObject, verify } from "node:crypto";
import { z } from "zod";

const coordinate = z.string().regex(/^[A-Za-z0-9_-]{43}$/, "must be 32 bytes as base64url");

/** A device's own public key (RFC 7517): ECDSA P-256, which every browser's WebCrypto makes, or Ed25519 (RFC 8037). */
export const deviceKeySchema = z.union([
	z.object({ kty: z.literal("EC"), crv: z.literal("P-256"), x: coordinate, y: coordinate }),
	z.object({ kty: z.literal("OKP"), crv: z.literal("Ed25519"), x: coordinate }),
]);
export type DeviceKey = z.infer<typeof deviceKeySchema>;

/** JWK thumbprint (RFC 7638): SHA-256 over the required members in order, base64url. */
export function thumbprint(key: DeviceKey): string {
	const members =
		key.kty === "EC" ? { crv: key.crv, kty: key.kty, x: key.x, y: key.y } : { crv: key.crv, kty: key.kty, x: key.x };
	return createHash("sha256").update(JSON.stringify(members)).digest("base64url");
}

/** What a device signs to show that it holds the key: bound to one nonce of one node, for one path. */
export function proofMessage(nonce: string, audience: string, path: string): string {
	return ["warren-ticket-proof.v1", nonce, audience, path].join("\n");
}

/** @param proof base64url; for P-256 the raw r‖s that WebCrypto gives. A key off the curve proves nothing. */
export function verifyProof(key: DeviceKey, message: string, proof: string): boolean {
	const signature = Buffer.from(proof, "base64url");
	if (signature.length !== 64) return false;
	let publicKey: KeyObject;
	try {
		publicKey = createPublicKey({ key, format: "jwk" });
	} catch {
		// Not a point of the curve.
		return false;
	}
	return key.kty === "EC"
		? verify("sha256", Buffer.from(message), { key: publicKey, dsaEncoding: "ieee-p1363" }, signature)
		: verify(null, Buffer.from(message), publicKey, signature);
}
