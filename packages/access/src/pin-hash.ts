import { scrypt, timingSafeEqual } from "node:crypto";
import { promisify } from "node:util";
import type { Random } from "@warren/kernel";

/** scrypt (RFC 7914) with OWASP's parameters: 32 MiB and some tens of milliseconds a check. */
const parameters = { N: 2 ** 15, r: 8, p: 1, maxmem: 64 * 1024 * 1024 } as const;
const keyBytes = 32;
const derive = promisify<string, Uint8Array, number, typeof parameters, Buffer>(scrypt);

/** `scrypt$N$r$p$salt$key`, base64url. */
export async function hashPin(pin: string, random: Random): Promise<string> {
	const salt = random.bytes(16);
	const key = await derive(pin.normalize("NFKC"), salt, keyBytes, parameters);
	return [
		"scrypt",
		parameters.N,
		parameters.r,
		parameters.p,
		Buffer.from(salt).toString("base64url"),
		key.toString("base64url"),
	].join("$");
}

/** Takes the same time whether it fits or not. A hash that cannot be read fits nothing. */
export async function verifyPin(pin: string, hash: string): Promise<boolean> {
	const [scheme, N, r, p, salt = "", key = ""] = hash.split("$");
	if (scheme !== "scrypt" || !/^[\w-]{16,}$/.test(salt) || !/^[\w-]{43}$/.test(key)) return false;
	const expected = Buffer.from(key, "base64url");
	const options = { N: Number(N), r: Number(r), p: Number(p), maxmem: parameters.maxmem } as typeof parameters;
	const actual = await derive(pin.normalize("NFKC"), Buffer.from(salt, "base64url"), keyBytes, options);
	return expected.length === actual.length && timingSafeEqual(expected, actual);
}
