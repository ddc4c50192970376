const points: ReadonlySet<string> = new Set([
	"0000000000000000000000000000000000000000000000000000000000000000",
	"0100000000000000000000000000000000000000000000000000000000000000",
	"e0eb7a7c3b41b8ae1656e3faf19fc46ada098deb9c32b1fd866205165f49b800",
	"5f9c95bca3508c24b1d0b1559c83ef5b04445cc4581c8e86d8224eddd09f1157",
	"ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
	"eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
]);

/**
 * Whether an X25519 public key is a point of small order: it agrees with every private key on zero (RFC 7748 §6.1), so
 * nobody holds its private half. All spellings of them, by the bytes: 0, 1, the two of order 8, p - 1, p and p + 1.
 * @param publicKey 32 bytes, little-endian; the highest bit does not count.
 */
export function isSmallOrder(publicKey: Uint8Array): boolean {
	const plain = Buffer.from(publicKey);
	plain[31] = (plain[31] as number) & 127;
	return points.has(plain.toString("hex"));
}
