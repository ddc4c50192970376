/**
 * The arithmetic that the protocol stands on, handed in: OpenSSL's through node:crypto or through the library inside
 * the node binary. Byte strings, in and out; secrets in buffers that their owner zeroes.
 */
export interface Primitives {
	/** BLAKE2s-256 of the parts, one after the other. */
	hash(...parts: readonly Uint8Array[]): Uint8Array;
	/** BLAKE2s-128 with a key of 16 or 32 bytes (RFC 7693). */
	mac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
	/** HMAC (RFC 2104) over BLAKE2s-256. */
	hmac(key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array;
	/** X25519 (RFC 7748); null when the result would be all zero, as it is for a point of small order. */
	dh(privateKey: Uint8Array, publicKey: Uint8Array): Uint8Array | null;
	/** The public half of an X25519 key. */
	publicKey(privateKey: Uint8Array): Uint8Array;
	/** ChaCha20-Poly1305 (RFC 8439), nonce 12 bytes; ciphertext, then tag. */
	seal(key: Uint8Array, nonce: Uint8Array, plaintext: Uint8Array, data: Uint8Array): Uint8Array;
	/** null = not authentic. */
	open(key: Uint8Array, nonce: Uint8Array, sealed: Uint8Array, data: Uint8Array): Uint8Array | null;
	/** HChaCha20 (draft-irtf-cfrg-xchacha, section 2.2): a key of its own for a nonce's first 16 bytes. */
	subkey(key: Uint8Array, nonce: Uint8Array): Uint8Array;
}

/** One direction of a session: seals or opens data messages where they lie, in the arena that made it. */
export interface TransportKey {
	/** Seals `length` bytes at `offset` in place and puts the tag behind them. */
	seal(offset: number, length: number, counter: number): void;
	/** Opens in place; `length` counts the tag. False = not authentic, and the bytes are no plaintext. */
	open(offset: number, length: number, counter: number): boolean;
	/** Zeroes the key and gives its context back. Neither method may be called after it. */
	erase(): void;
}

/** Makes the keys of a new session. The bytes handed in are the caller's to zero. */
export type MakeTransportKey = (key: Uint8Array, direction: "seal" | "open") => TransportKey;

export const noData: Uint8Array = new Uint8Array(0);
const zeroNonce = new Uint8Array(12);

/** The handshake's own messages are all sealed with counter 0. */
export function sealFirst(p: Primitives, key: Uint8Array, plaintext: Uint8Array, data: Uint8Array): Uint8Array {
	return p.seal(key, zeroNonce, plaintext, data);
}

export function openFirst(p: Primitives, key: Uint8Array, sealed: Uint8Array, data: Uint8Array): Uint8Array | null {
	return p.open(key, zeroNonce, sealed, data);
}

/** XChaCha20-Poly1305: nonce 24 bytes. */
export function sealWide(
	p: Primitives,
	key: Uint8Array,
	nonce: Uint8Array,
	plaintext: Uint8Array,
	data: Uint8Array,
): Uint8Array {
	const subkey = p.subkey(key, nonce.subarray(0, 16));
	const sealed = p.seal(subkey, shortNonce(nonce), plaintext, data);
	subkey.fill(0);
	return sealed;
}

export function openWide(
	p: Primitives,
	key: Uint8Array,
	nonce: Uint8Array,
	sealed: Uint8Array,
	data: Uint8Array,
): Uint8Array | null {
	const subkey = p.subkey(key, nonce.subarray(0, 16));
	const opened = p.open(subkey, shortNonce(nonce), sealed, data);
	subkey.fill(0);
	return opened;
}

function shortNonce(nonce: Uint8Array): Uint8Array {
	const short = new Uint8Array(12);
	short.set(nonce.subarray(16, 24), 4);
	return short;
}

/** HKDF (RFC 5869) over HMAC-BLAKE2s with an empty info: `count` keys of 32 bytes. */
export function derive(p: Primitives, chain: Uint8Array, input: Uint8Array, count: number): Uint8Array[] {
	const secret = p.hmac(chain, input);
	const keys: Uint8Array[] = [];
	let previous: Uint8Array = noData;
	for (let number = 1; number <= count; number++) {
		previous = p.hmac(secret, previous, Uint8Array.of(number));
		keys.push(previous);
	}
	secret.fill(0);
	return keys;
}
