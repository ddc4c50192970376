import {
	createCipheriv,
	createDecipheriv,
	createPrivateKey,
	createPublicKey,
	diffieHellman,
	hkdfSync,
	type KeyObject,
} from "node:crypto";
import type { Random } from "@warren/kernel";
import type { WireGuardKey } from "./peer-record.ts";
import { addressBytes, formatAddress, type MappedAddress } from "./stun.ts";

/**
 * A probe of a path, sent from the WireGuard socket itself. Sealed with ChaCha20-Poly1305 under a key that only the two
 * peers' WireGuard keys give, its header authenticated with it.
 *
 *   0       4                36           48                            n-16      n
 *   ├ magic ─┼─ sender's key ──┼── nonce ───┼─ type(1) tx(8) rest, zeros ──┼── tag ──┤
 *
 *   ping  type 1, rest: nothing
 *   pong  type 2, rest: the ping's size in bytes (2), from where it came: family 4|6 (1), port (2), address (4|16)
 */
const magic = Uint8Array.of(0x77, 0x72, 0x70, 0x31);
const headerBytes = 48;
const tagBytes = 16;
const plainBytes = 9;
export const minProbeBytes = headerBytes + plainBytes + tagBytes;
export const maxProbeBytes = 9_000;

export type Probe =
	| { readonly type: "ping"; readonly tx: string }
	| { readonly type: "pong"; readonly tx: string; readonly size: number; readonly seen: MappedAddress };

export interface OpenedProbe {
	readonly from: WireGuardKey;
	readonly probe: Probe;
	/** Of the whole datagram. */
	readonly size: number;
}

export function looksLikeProbe(bytes: Uint8Array): boolean {
	return (
		bytes.length >= minProbeBytes && bytes.length <= maxProbeBytes && magic.every((byte, at) => bytes[at] === byte)
	);
}

/** Seals and opens probes between this peer and those it knows. */
export class ProbeSealer {
	readonly #privateKey: KeyObject;
	readonly #publicKey: Uint8Array;
	readonly #random: Random;
	readonly #keys = new Map<WireGuardKey, Uint8Array | null>();

	/** @param privateKey 32 bytes. */
	constructor(privateKey: Uint8Array, random: Random) {
		this.#privateKey = privateKeyOf(privateKey);
		this.#publicKey = publicKeyOf(privateKey);
		this.#random = random;
	}

	forget(peer: WireGuardKey): void {
		this.#keys.delete(peer);
	}

	/** @param size of the whole datagram, where it is to be padded. @returns null for a peer whose key agrees on no secret. */
	seal(peer: WireGuardKey, probe: Probe, size = 0): Uint8Array | null {
		const key = this.#keyWith(peer);
		if (key === null) return null;
		const body = probe.type === "ping" ? Uint8Array.of(1) : pongBody(probe);
		const plain = new Uint8Array(Math.max(plainBytes + body.length - 1, size - headerBytes - tagBytes));
		plain[0] = body[0] as number;
		plain.set(Buffer.from(probe.tx, "hex"), 1);
		plain.set(body.subarray(1), plainBytes);
		const header = Buffer.concat([magic, this.#publicKey]);
		const nonce = this.#random.bytes(12);
		const cipher = createCipheriv("chacha20-poly1305", key, nonce, { authTagLength: tagBytes });
		cipher.setAAD(header, { plaintextLength: plain.length });
		const sealed = cipher.update(plain);
		cipher.final();
		return Buffer.concat([header, nonce, sealed, cipher.getAuthTag()]);
	}

	/** @param knows whether the claimed sender is a peer: nobody else costs a key agreement. @returns null for what is not a peer's. */
	open(bytes: Uint8Array, knows: (key: WireGuardKey) => boolean): OpenedProbe | null {
		if (!looksLikeProbe(bytes)) return null;
		const from = Buffer.from(bytes.subarray(4, 36)).toString("base64") as WireGuardKey;
		const key = knows(from) ? this.#keyWith(from) : null;
		if (key === null) return null;
		const decipher = createDecipheriv("chacha20-poly1305", key, bytes.subarray(36, 48), {
			authTagLength: tagBytes,
		});
		const sealed = bytes.subarray(headerBytes, bytes.length - tagBytes);
		decipher.setAAD(bytes.subarray(0, 36), { plaintextLength: sealed.length });
		decipher.setAuthTag(bytes.subarray(bytes.length - tagBytes));
		let plain: Buffer;
		try {
			plain = decipher.update(sealed);
			decipher.final();
		} catch {
			// Forged or damaged: as if it had not come.
			return null;
		}
		const probe = readProbe(plain);
		return probe === null ? null : { from, probe, size: bytes.length };
	}

	/** Null for keys of low order, which give an all-zero secret with anybody (RFC 7748 §6.1): a hostile peer may register one. */
	#keyWith(peer: WireGuardKey): Uint8Array | null {
		const known = this.#keys.get(peer);
		if (known !== undefined) return known;
		const theirs = Buffer.from(peer, "base64");
		let shared: Buffer;
		try {
			shared = diffieHellman({ privateKey: this.#privateKey, publicKey: rawPublicKey(theirs) });
		} catch {
			this.#keys.set(peer, null);
			return null;
		}
		const both = [Buffer.from(this.#publicKey), theirs].sort(Buffer.compare);
		const key = new Uint8Array(hkdfSync("sha256", shared, Buffer.concat(both), "warren path probe v1", 32));
		shared.fill(0);
		this.#keys.set(peer, key);
		return key;
	}
}

function pongBody({ size, seen }: Extract<Probe, { type: "pong" }>): Uint8Array {
	const address = addressBytes(seen.address);
	const body = Buffer.alloc(6 + address.length);
	body[0] = 2;
	body.writeUInt16BE(size, 1);
	body[3] = address.length === 4 ? 4 : 6;
	body.writeUInt16BE(seen.port, 4);
	body.set(address, 6);
	return body;
}

function readProbe(plain: Buffer): Probe | null {
	const tx = plain.subarray(1, plainBytes).toString("hex");
	if (plain[0] === 1) return { type: "ping", tx };
	const family = plain[plainBytes + 2];
	const end = plainBytes + 5 + (family === 4 ? 4 : 16);
	if (plain[0] !== 2 || (family !== 4 && family !== 6) || plain.length < end) return null;
	return {
		type: "pong",
		tx,
		size: plain.readUInt16BE(plainBytes),
		seen: { port: plain.readUInt16BE(plainBytes + 3), address: formatAddress(plain.subarray(plainBytes + 5, end)) },
	};
}

/** RFC 8410 §7: the DER that stands before a raw X25519 private key. */
const privatePrefix = Buffer.from("302e020100300506032b656e04220420", "hex");
const publicPrefix = Buffer.from("302a300506032b656e032100", "hex");

function privateKeyOf(raw: Uint8Array): KeyObject {
	return createPrivateKey({ key: Buffer.concat([privatePrefix, raw]), format: "der", type: "pkcs8" });
}

function rawPublicKey(raw: Uint8Array): KeyObject {
	return createPublicKey({ key: Buffer.concat([publicPrefix, raw]), format: "der", type: "spki" });
}

/** The WireGuard public key of a private one. @param privateKey 32 bytes. */
export function publicKeyOf(privateKey: Uint8Array): Uint8Array {
	const der = createPublicKey(privateKeyOf(privateKey)).export({ format: "der", type: "spki" });
	return new Uint8Array(der.subarray(der.length - 32));
}
