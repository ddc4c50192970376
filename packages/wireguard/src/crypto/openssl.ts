import koffi from "koffi";
import { tagBytes } from "../protocol/constants.ts";
import type { MakeTransportKey, Primitives } from "../protocol/primitives.ts";
import { nodePrimitives } from "./node-primitives.ts";
import { openTransportAead } from "./transport-aead.ts";

/**
 * OpenSSL as it lies in the node binary, called directly: data messages are sealed where they are, with one context a
 * key and direction in which only the nonce is set anew. Every address is computed here and every bound checked here:
 * a wrong offset beyond this file would write over memory.
 */
export interface Openssl {
	readonly primitives: Primitives;
	/** Keys that work inside `arena`, which must never move or be freed before them. */
	transportKeys(arena: Uint8Array): MakeTransportKey;
	/** The same by OpenSSL's envelope, which every build of it has; slower. */
	envelopeKeys(arena: Uint8Array): MakeTransportKey;
}

const ivLength = 0x9;
const getTag = 0x10;
const setTag = 0x11;

// Pointers travel as int64_t: plain numbers cost a tenth of what pointer objects do.
type Call = (...args: readonly (number | Uint8Array | null)[]) => number;

let opened: Openssl | undefined;

/** @throws Error when koffi has no binary for this system, or this node binary keeps its OpenSSL to itself. */
export function openOpenssl(): Openssl {
	opened ??= open();
	return opened;
}

function open(): Openssl {
	const library = koffi.load(null);
	const func = (definition: string): Call => library.func(definition) as unknown as Call;
	const fetchCipher = func(
		"int64_t EVP_CIPHER_fetch(int64_t library, const char *name, int64_t properties)",
	) as unknown as (library: number, name: string, properties: number) => number;
	const newContext = func("int64_t EVP_CIPHER_CTX_new()");
	const freeContext = func("void EVP_CIPHER_CTX_free(int64_t context)");
	const encryptInit = func(
		"int EVP_EncryptInit_ex(int64_t context, int64_t cipher, int64_t engine, const uint8_t *key, const uint8_t *nonce)",
	);
	const decryptInit = func(
		"int EVP_DecryptInit_ex(int64_t context, int64_t cipher, int64_t engine, const uint8_t *key, const uint8_t *nonce)",
	);
	const setEncryptNonce = func(
		"int EVP_EncryptInit_ex(int64_t context, int64_t cipher, int64_t engine, int64_t key, int64_t nonce)",
	);
	const setDecryptNonce = func(
		"int EVP_DecryptInit_ex(int64_t context, int64_t cipher, int64_t engine, int64_t key, int64_t nonce)",
	);
	const control = func("int EVP_CIPHER_CTX_ctrl(int64_t context, int type, int value, int64_t pointer)");
	const cipherUpdate = func("int EVP_Cipher(int64_t context, int64_t out, int64_t in, unsigned int length)");
	const cipher = fetchCipher(0, "ChaCha20-Poly1305", 0);
	if (cipher === 0) throw new Error("The node binary's OpenSSL has no ChaCha20-Poly1305.");

	const envelopeKeys = (arena: Uint8Array): MakeTransportKey => {
		const base = Number(koffi.address(arena));
		// The nonce, in memory of its own that stays where it is.
		const scratch = new Uint8Array(new ArrayBuffer(64));
		const nonceAt = Number(koffi.address(scratch));
		const view = new DataView(scratch.buffer);
		const setNonce = (counter: number) => {
			view.setUint32(4, counter >>> 0, true);
			view.setUint32(8, Math.floor(counter / 0x1_0000_0000), true);
		};
		return (key, direction) => {
			let context = newContext();
			const init = direction === "seal" ? encryptInit : decryptInit;
			if (context === 0 || init(context, cipher, 0, key, scratch.subarray(0, 12)) !== 1)
				throw new Error("OpenSSL could not set a session's key: it is out of memory.");
			if (control(context, ivLength, 12, 0) !== 1) throw new Error("OpenSSL refused a nonce of 12 bytes.");
			const check = (offset: number, length: number) => {
				if (context === 0) throw new Error("A session's key was used after it was erased.");
				if (offset < 0 || length < 0 || offset + length > arena.length)
					throw new RangeError(`A packet of ${length} bytes at ${offset} does not fit the arena of ${arena.length}.`);
			};
			return {
				seal(offset, length, counter) {
					check(offset, length + tagBytes);
					setNonce(counter);
					const at = base + offset;
					if (
						setEncryptNonce(context, 0, 0, 0, nonceAt) !== 1 ||
						(length > 0 && cipherUpdate(context, at, at, length) < 0) ||
						cipherUpdate(context, 0, 0, 0) < 0 ||
						control(context, getTag, tagBytes, at + length) !== 1
					)
						throw new Error("OpenSSL could not seal a packet.");
				},
				open(offset, length, counter) {
					check(offset, length);
					if (length < tagBytes) return false;
					setNonce(counter);
					const at = base + offset;
					const plain = length - tagBytes;
					if (setDecryptNonce(context, 0, 0, 0, nonceAt) !== 1 || control(context, setTag, tagBytes, at + plain) !== 1)
						throw new Error("OpenSSL could not prepare to open a packet.");
					if (plain > 0 && cipherUpdate(context, at, at, plain) < 0) return false;
					return cipherUpdate(context, 0, 0, 0) >= 0;
				},
				erase() {
					// Freeing cleanses the context, and with it the key.
					if (context !== 0) freeContext(context);
					context = 0;
				},
			};
		};
	};
	return {
		primitives: { ...nodePrimitives, mac: keyedBlake(func) },
		transportKeys: openTransportAead(library) ?? envelopeKeys,
		envelopeKeys,
	};
}

/** The keyed BLAKE2s of 16 bytes, which node:crypto does not offer. */
function keyedBlake(func: (definition: string) => Call): Primitives["mac"] {
	const fetchMac = func("int64_t EVP_MAC_fetch(int64_t library, const char *name, int64_t properties)") as unknown as (
		library: number,
		name: string,
		properties: number,
	) => number;
	const newMac = func("int64_t EVP_MAC_CTX_new(int64_t mac)");
	const init = func("int EVP_MAC_init(int64_t context, const uint8_t *key, size_t length, const uint8_t *params)");
	const update = func("int EVP_MAC_update(int64_t context, const uint8_t *data, size_t length)");
	const final = func("int EVP_MAC_final(int64_t context, _Out_ uint8_t *out, int64_t written, size_t size)");
	const context = newMac(fetchMac(0, "BLAKE2SMAC", 0));
	if (context === 0) throw new Error("The node binary's OpenSSL has no BLAKE2SMAC.");
	// OSSL_PARAM[2]: {key, type, data, size, return size} of 40 bytes, `size` = 16 as an unsigned integer, then the end.
	const name = Buffer.from("size\0");
	const value = new BigUint64Array([16n]);
	const params = new Uint8Array(80);
	const view = new DataView(params.buffer);
	view.setBigUint64(0, koffi.address(name), true);
	view.setUint32(8, 2, true);
	view.setBigUint64(16, koffi.address(value), true);
	view.setBigUint64(24, 8n, true);
	view.setBigUint64(32, 0xffff_ffff_ffff_ffffn, true);
	const kept = [name, value];
	return (key, ...parts) => {
		if (kept.length === 0 || init(context, key, key.length, params) !== 1)
			throw new Error("OpenSSL could not begin a MAC.");
		for (const part of parts)
			if (part.length > 0 && update(context, part, part.length) !== 1)
				throw new Error("OpenSSL could not go on with a MAC.");
		const out = new Uint8Array(16);
		if (final(context, out, 0, out.length) !== 1) throw new Error("OpenSSL could not end a MAC.");
		return out;
	};
}
