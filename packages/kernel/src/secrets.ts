import { createHash, hash, timingSafeEqual } from "node:crypto";

/**
 * How a high-entropy token is kept at rest: SHA-256 as hex. For secrets of 128 bits and more; PINs and passwords need a
 * slow hash instead.
 */
export function hashToken(token: string): string {
	return hash("sha256", token, "hex");
}

/** Equality whose time does not depend on where two strings differ. Lengths are not hidden. */
export function equalSecrets(a: string, b: string): boolean {
	const left = createHash("sha256").update(a).digest();
	const right = createHash("sha256").update(b).digest();
	return timingSafeEqual(left, right);
}
