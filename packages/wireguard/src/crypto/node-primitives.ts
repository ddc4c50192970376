import {
	createCipheriv,
	createDecipheriv,
	createHash,
	createHmac,
	createPrivateKey,
	createPublicKey,
	diffieHellman,
	type KeyObject,
} from "node:crypto";
import { blake2s } from "@noble/hashes/blake2.js";
import type { Primitives } from "../protocol/primitives.ts";

/** DER before the 32 bytes of an X25519 key (RFC 8410): PKCS#8 of a private one, SPKI of a public one. */
const privatePrefix = Buffer.from("302e020100300506032b656e04220420", "hex");
const publicPrefix = Buffer.from("302a300506032b656e032100", "hex");
const chachaConstants = [0x61707865, 0x3320646e, 0x79622d32, 0x6b206574] as const;
const tagLength = { authTagLength: 16 } as const;

/** OpenSSL through node:crypto; only the keyed BLAKE2s, which it does not offer, comes from @noble/hashes. */
export const nodePrimitives: Primitives = {
	hash(...parts) {
		const hash = createHash("blake2s256");
		for (const part of parts) hash.update(part);
		return hash.digest();
	},
	mac(key, ...parts) {
		const mac = blake2s.create({ key, dkLen: 16 });
		for (const part of parts) mac.update(part);
		return mac.digest();
	},
	hmac(key, ...parts) {
		const hmac = createHmac("blake2s256", key);
		for (const part of parts) hmac.update(part);
		return hmac.digest();
	},
	dh(privateKey, publicKey) {
		try {
			const shared = diffieHellman({ privateKey: importPrivate(privateKey), publicKey: importPublic(publicKey) });
			return shared.every((byte) => byte === 0) ? null : shared;
		} catch (failure) {
			// OpenSSL refuses an all-zero result itself, and says no more than that the derivation failed.
			if ((failure as { code?: string }).code?.startsWith("ERR_OSSL") === true) return null;
			throw failure;
		}
	},
	publicKey(privateKey) {
		const spki = createPublicKey(importPrivate(privateKey) as never).export({ format: "der", type: "spki" });
		return Uint8Array.from(spki.subarray(publicPrefix.length));
	},
	seal(key, nonce, plaintext, data) {
		const cipher = createCipheriv("chacha20-poly1305", key, nonce, tagLength);
		cipher.setAAD(data, { plaintextLength: plaintext.length });
		const sealed = cipher.update(plaintext);
		cipher.final();
		return Buffer.concat([sealed, cipher.getAuthTag()]);
	},
	open(key, nonce, sealed, data) {
		if (sealed.length < 16) return null;
		const decipher = createDecipheriv("chacha20-poly1305", key, nonce, tagLength);
		const at = sealed.length - 16;
		decipher.setAAD(data, { plaintextLength: at });
		decipher.setAuthTag(sealed.subarray(at));
		const plaintext = decipher.update(sealed.subarray(0, at));
		try {
			decipher.final();
			return plaintext;
		} catch {
			// The one thing that `final` fails of: the tag is not right.
			plaintext.fill(0);
			return null;
		}
	},
	subkey(key, nonce) {
		// ChaCha20's block function adds its input at the end and HChaCha20 does not: subtracting what went in, where
		// that is known (the constants and the nonce), leaves the words that HChaCha20 gives.
		const block = createCipheriv("chacha20", key, nonce).update(new Uint8Array(64));
		const out = Buffer.alloc(32);
		for (let word = 0; word < 4; word++) {
			out.writeUInt32LE((block.readUInt32LE(word * 4) - (chachaConstants[word] as number)) >>> 0, word * 4);
			const fed = new DataView(nonce.buffer, nonce.byteOffset).getUint32(word * 4, true);
			out.writeUInt32LE((block.readUInt32LE(48 + word * 4) - fed) >>> 0, 16 + word * 4);
		}
		block.fill(0);
		return out;
	},
};

function importPrivate(key: Uint8Array): KeyObject {
	const der = Buffer.concat([privatePrefix, key]);
	const imported = createPrivateKey({ key: der, format: "der", type: "pkcs8" });
	der.fill(0);
	return imported;
}

function importPublic(key: Uint8Array): KeyObject {
	return createPublicKey({ key: Buffer.concat([publicPrefix, key]), format: "der", type: "spki" });
}
