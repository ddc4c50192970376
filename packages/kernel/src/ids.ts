import type { Random } from "./random.ts";

declare const brand: unique symbol;
/** A string that only its maker may produce: keeps look-alike identifiers apart. */
export type Brand<T, B extends string> = T & { readonly [brand]: B };

/** What stands in `/r/:peer`: another machine as this node knows it. */
export type PeerId = Brand<string, "PeerId">;
/** A device (browser, phone, command line) that holds a token of this node. */
export type DeviceId = Brand<string, "DeviceId">;
/** A machine's own identifier, made once per data folder. */
export type NodeId = Brand<string, "NodeId">;
/** A person's account at the hub. */
export type UserId = Brand<string, "UserId">;
/** SHA-256 of a certificate's DER, lower-case hex with colons between bytes. */
export type Fingerprint = Brand<string, "Fingerprint">;

const alphabet = "0123456789abcdefghjkmnpqrstvwxyz";

/**
 * A fresh identifier in Crockford's base 32 (no i, l, o, u), safe in URLs, host names and file names.
 * @param length characters, 5 bits each; 20 (100 bits) unless told.
 */
export function newId(random: Random, length = 20): string {
	let id = "";
	for (const byte of random.bytes(length)) id += alphabet.charAt(byte & 31);
	return id;
}

/** A bearer secret: 256 bits as base64url, 43 characters. */
export function newSecret(random: Random): string {
	return Buffer.from(random.bytes(32)).toString("base64url");
}
