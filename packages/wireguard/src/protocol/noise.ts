import { initiation, response, writeU32 } from "./messages.ts";
import { derive, noData, openFirst, type Primitives, sealFirst } from "./primitives.ts";

/**
 * Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s, one function a step (WireGuard paper, section 5.4). Nothing here knows of time,
 * peers or sockets. Every secret that a step no longer needs is zeroed in it.
 */
const text = new TextEncoder();
const construction = text.encode("Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s");
const identifier = text.encode("WireGuard v1 zx2c4 Jason@zx2c4.com");

export interface StaticKeys {
	readonly privateKey: Uint8Array;
	readonly publicKey: Uint8Array;
}

/** What an initiator keeps while it waits for the response. */
export interface PendingInitiation {
	readonly hash: Uint8Array;
	readonly chain: Uint8Array;
	readonly ephemeralPrivate: Uint8Array;
}

export function erasePending(pending: PendingInitiation): void {
	pending.hash.fill(0);
	pending.chain.fill(0);
	pending.ephemeralPrivate.fill(0);
}

/** What a responder has learned from an initiation. */
export interface ConsumedInitiation {
	readonly hash: Uint8Array;
	readonly chain: Uint8Array;
	readonly remoteStatic: Uint8Array;
	readonly remoteEphemeral: Uint8Array;
	/** TAI64N, 12 bytes. */
	readonly timestamp: Uint8Array;
}

/** The two keys of a session, as this side uses them. The caller zeroes them once they are in their ciphers. */
export interface SessionKeys {
	readonly send: Uint8Array;
	readonly receive: Uint8Array;
}

/** What both ends know before the first message to `responder`. */
export function initialState(p: Primitives, responder: Uint8Array): { chain: Uint8Array; hash: Uint8Array } {
	const chain = p.hash(construction);
	const hash = p.hash(p.hash(chain, identifier), responder);
	return { chain, hash };
}

/** Writes an initiation, all but its MACs. null when the peer's key is a point of small order. */
export function createInitiation(
	p: Primitives,
	own: StaticKeys,
	remoteStatic: Uint8Array,
	/** DH of both static keys, computed once a peer. */
	staticStatic: Uint8Array,
	ephemeralPrivate: Uint8Array,
	timestamp: Uint8Array,
	sender: number,
): { message: Uint8Array; pending: PendingInitiation } | null {
	const message = new Uint8Array(initiation.bytes);
	writeU32(message, 0, initiation.type);
	writeU32(message, initiation.sender, sender);
	let { chain, hash } = initialState(p, remoteStatic);

	const ephemeral = p.publicKey(ephemeralPrivate);
	message.set(ephemeral, initiation.ephemeral);
	hash = p.hash(hash, ephemeral);
	chain = mixChain(p, chain, ephemeral);

	const shared = p.dh(ephemeralPrivate, remoteStatic);
	if (shared === null) return null;
	let key: Uint8Array;
	[chain, key] = mixKey(p, chain, shared);
	shared.fill(0);
	const sealedStatic = sealFirst(p, key, own.publicKey, hash);
	key.fill(0);
	message.set(sealedStatic, initiation.static);
	hash = p.hash(hash, sealedStatic);

	[chain, key] = mixKey(p, chain, staticStatic);
	const sealedTimestamp = sealFirst(p, key, timestamp, hash);
	key.fill(0);
	message.set(sealedTimestamp, initiation.timestamp);
	hash = p.hash(hash, sealedTimestamp);
	return { message, pending: { hash, chain, ephemeralPrivate } };
}

/**
 * Reads an initiation up to its sender's name; `staticStatic` then gives that peer's precomputed DH, or null when
 * nobody here has that key. null for whatever is not authentic.
 */
export function consumeInitiation(
	p: Primitives,
	own: StaticKeys,
	message: Uint8Array,
	staticStatic: (remoteStatic: Uint8Array) => Uint8Array | null,
): ConsumedInitiation | null {
	let { chain, hash } = initialState(p, own.publicKey);
	const remoteEphemeral = message.slice(initiation.ephemeral, initiation.static);
	hash = p.hash(hash, remoteEphemeral);
	chain = mixChain(p, chain, remoteEphemeral);

	const shared = p.dh(own.privateKey, remoteEphemeral);
	if (shared === null) return null;
	let key: Uint8Array;
	[chain, key] = mixKey(p, chain, shared);
	shared.fill(0);
	const sealedStatic = message.subarray(initiation.static, initiation.timestamp);
	const remoteStatic = openFirst(p, key, sealedStatic, hash);
	key.fill(0);
	if (remoteStatic === null) return null;
	hash = p.hash(hash, sealedStatic);

	const known = staticStatic(remoteStatic);
	if (known === null) return null;
	[chain, key] = mixKey(p, chain, known);
	const sealedTimestamp = message.subarray(initiation.timestamp, initiation.mac1);
	const timestamp = openFirst(p, key, sealedTimestamp, hash);
	key.fill(0);
	if (timestamp === null) return null;
	return { hash: p.hash(hash, sealedTimestamp), chain, remoteStatic, remoteEphemeral, timestamp };
}

/** Answers a consumed initiation, all but the MACs; its chain is spent by this. */
export function createResponse(
	p: Primitives,
	consumed: ConsumedInitiation,
	ephemeralPrivate: Uint8Array,
	presharedKey: Uint8Array,
	sender: number,
	receiver: number,
): { message: Uint8Array; keys: SessionKeys } | null {
	const message = new Uint8Array(response.bytes);
	writeU32(message, 0, response.type);
	writeU32(message, response.sender, sender);
	writeU32(message, response.receiver, receiver);
	const ephemeral = p.publicKey(ephemeralPrivate);
	message.set(ephemeral, response.ephemeral);
	const withEphemeral = p.dh(ephemeralPrivate, consumed.remoteEphemeral);
	const withStatic = p.dh(ephemeralPrivate, consumed.remoteStatic);
	if (withEphemeral === null || withStatic === null) return null;
	const mixed = mixResponse(p, consumed, ephemeral, withEphemeral, withStatic, presharedKey);
	const empty = sealFirst(p, mixed.key, noData, mixed.hash);
	mixed.key.fill(0);
	message.set(empty, response.empty);
	const [receive, send] = deriveTransport(p, mixed.chain);
	consumed.chain.fill(0);
	return { message, keys: { send, receive } };
}

/** Reads the response to our initiation. null for whatever is not authentic; `pending` stays usable then. */
export function consumeResponse(
	p: Primitives,
	own: StaticKeys,
	pending: PendingInitiation,
	presharedKey: Uint8Array,
	message: Uint8Array,
): SessionKeys | null {
	const ephemeral = message.subarray(response.ephemeral, response.empty);
	const withEphemeral = p.dh(pending.ephemeralPrivate, ephemeral);
	const withStatic = p.dh(own.privateKey, ephemeral);
	if (withEphemeral === null || withStatic === null) return null;
	const mixed = mixResponse(p, pending, ephemeral, withEphemeral, withStatic, presharedKey);
	const opened = openFirst(p, mixed.key, message.subarray(response.empty, response.mac1), mixed.hash);
	mixed.key.fill(0);
	if (opened === null) {
		mixed.chain.fill(0);
		return null;
	}
	const [send, receive] = deriveTransport(p, mixed.chain);
	return { send, receive };
}

/** The steps that both ends of a response share. */
function mixResponse(
	p: Primitives,
	from: { readonly hash: Uint8Array; readonly chain: Uint8Array },
	ephemeral: Uint8Array,
	withEphemeral: Uint8Array,
	withStatic: Uint8Array,
	presharedKey: Uint8Array,
): { chain: Uint8Array; hash: Uint8Array; key: Uint8Array } {
	let chain = mixChain(p, Uint8Array.from(from.chain), ephemeral);
	chain = mixChain(p, chain, withEphemeral);
	chain = mixChain(p, chain, withStatic);
	withEphemeral.fill(0);
	withStatic.fill(0);
	const [next, tau, key] = derive(p, chain, presharedKey, 3) as [Uint8Array, Uint8Array, Uint8Array];
	chain.fill(0);
	const hash = p.hash(p.hash(from.hash, ephemeral), tau);
	tau.fill(0);
	return { chain: next, hash, key };
}

/** Initiator → responder first. Spends the chain. */
function deriveTransport(p: Primitives, chain: Uint8Array): [Uint8Array, Uint8Array] {
	const keys = derive(p, chain, noData, 2) as [Uint8Array, Uint8Array];
	chain.fill(0);
	return keys;
}

function mixChain(p: Primitives, chain: Uint8Array, input: Uint8Array): Uint8Array {
	const [next] = derive(p, chain, input, 1) as [Uint8Array];
	chain.fill(0);
	return next;
}

function mixKey(p: Primitives, chain: Uint8Array, input: Uint8Array): [Uint8Array, Uint8Array] {
	const keys = derive(p, chain, input, 2) as [Uint8Array, Uint8Array];
	chain.fill(0);
	return keys;
}
