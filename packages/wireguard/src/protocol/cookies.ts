import type { Random } from "@warren/kernel";
import { limits, specification } from "./constants.ts";
import { cookieReply, readU32, writeU32 } from "./messages.ts";
import { openWide, type Primitives, sealWide } from "./primitives.ts";

const text = new TextEncoder();
const macLabel = text.encode("mac1----");
const cookieLabel = text.encode("cookie--");
const macBytes = 16;

/** Where a handshake message came from, as bytes that a cookie is bound to: 16 of address (v4 mapped), 2 of port. */
export type SourceBytes = Uint8Array;

/** The receiving side of MAC1 and MAC2 (WireGuard paper, section 5.4.7): tells who has been seen at its address. */
export class CookieChecker {
	readonly #p: Primitives;
	readonly #random: Random;
	readonly #macKey: Uint8Array;
	readonly #cookieKey: Uint8Array;
	#secret: Uint8Array;
	#secretAt = Number.NEGATIVE_INFINITY;

	constructor(p: Primitives, random: Random, ownPublicKey: Uint8Array) {
		this.#p = p;
		this.#random = random;
		this.#macKey = p.hash(macLabel, ownPublicKey);
		this.#cookieKey = p.hash(cookieLabel, ownPublicKey);
		this.#secret = new Uint8Array(32);
	}

	/** MAC1 proves that the sender knows whom it talks to. */
	hasMac1(message: Uint8Array): boolean {
		const at = message.length - 2 * macBytes;
		return equalMacs(this.#p.mac(this.#macKey, message.subarray(0, at)), message.subarray(at, at + macBytes));
	}

	/** MAC2 proves that the sender gets what is sent to its source. */
	hasMac2(message: Uint8Array, source: SourceBytes, now: number): boolean {
		if (now - this.#secretAt >= specification.cookieLifetimeMs) return false;
		const at = message.length - macBytes;
		const cookie = this.#p.mac(this.#secret, source);
		return equalMacs(this.#p.mac(cookie, message.subarray(0, at)), message.subarray(at));
	}

	/** A cookie reply to a message whose MAC1 was right. */
	reply(message: Uint8Array, source: SourceBytes, now: number): Uint8Array {
		if (now - this.#secretAt >= specification.cookieLifetimeMs) {
			this.#secret.fill(0);
			this.#secret = this.#random.bytes(32);
			this.#secretAt = now;
		}
		const reply = new Uint8Array(cookieReply.bytes);
		writeU32(reply, 0, cookieReply.type);
		writeU32(reply, cookieReply.receiver, readU32(message, 4));
		const nonce = this.#random.bytes(24);
		reply.set(nonce, cookieReply.nonce);
		const at = message.length - 2 * macBytes;
		const cookie = this.#p.mac(this.#secret, source);
		reply.set(
			sealWide(this.#p, this.#cookieKey, nonce, cookie, message.subarray(at, at + macBytes)),
			cookieReply.cookie,
		);
		return reply;
	}

	erase(): void {
		this.#secret.fill(0);
		this.#secretAt = Number.NEGATIVE_INFINITY;
	}
}

/** The sending side: puts MACs on handshake messages to one peer, and holds the cookie that it gave. */
export class CookieHolder {
	readonly #p: Primitives;
	readonly #macKey: Uint8Array;
	readonly #cookieKey: Uint8Array;
	#lastMac1: Uint8Array | null = null;
	#cookie: { readonly value: Uint8Array; readonly at: number } | null = null;

	constructor(p: Primitives, peerPublicKey: Uint8Array) {
		this.#p = p;
		this.#macKey = p.hash(macLabel, peerPublicKey);
		this.#cookieKey = p.hash(cookieLabel, peerPublicKey);
	}

	/** Completes an initiation or a response in place. */
	sign(message: Uint8Array, now: number): void {
		const at = message.length - 2 * macBytes;
		const mac1 = this.#p.mac(this.#macKey, message.subarray(0, at));
		message.set(mac1, at);
		this.#lastMac1 = mac1;
		const usableMs = specification.cookieLifetimeMs - specification.cookieLatencyMs;
		if (this.#cookie !== null && now - this.#cookie.at < usableMs)
			message.set(this.#p.mac(this.#cookie.value, message.subarray(0, at + macBytes)), at + macBytes);
	}

	/** Takes a cookie reply to the last message signed; false when it answers none of ours. */
	take(reply: Uint8Array, now: number): boolean {
		if (this.#lastMac1 === null) return false;
		const nonce = reply.subarray(cookieReply.nonce, cookieReply.cookie);
		const value = openWide(this.#p, this.#cookieKey, nonce, reply.subarray(cookieReply.cookie), this.#lastMac1);
		if (value === null) return false;
		this.#cookie = { value, at: now };
		// One reply a message: the same one again proves nothing new.
		this.#lastMac1 = null;
		return true;
	}
}

/** Token bucket per source address, for initiations under load. Bounded: an address too many waits its turn. */
export class InitiationLimit {
	readonly #buckets = new Map<string, { tokens: number; at: number }>();

	/** v4 by its address, v6 by its /64: whoever holds one address of it holds them all. */
	allows(source: SourceBytes, now: number): boolean {
		const key = limitKey(source);
		let bucket = this.#buckets.get(key);
		if (bucket === undefined) {
			if (this.#buckets.size >= limits.rateLimitedAddresses) this.#forget(now);
			if (this.#buckets.size >= limits.rateLimitedAddresses) return false;
			bucket = { tokens: limits.initiationBurst, at: now };
			this.#buckets.set(key, bucket);
		}
		const refill = ((now - bucket.at) / 1000) * limits.initiationsPerSecond;
		bucket.tokens = Math.min(limits.initiationBurst, bucket.tokens + refill);
		bucket.at = now;
		if (bucket.tokens < 1) return false;
		bucket.tokens -= 1;
		return true;
	}

	#forget(now: number): void {
		for (const [key, bucket] of this.#buckets) if (now - bucket.at > 1000) this.#buckets.delete(key);
	}
}

function limitKey(source: SourceBytes): string {
	const isV4 = source[10] === 0xff && source[11] === 0xff && source.subarray(0, 10).every((byte) => byte === 0);
	return String.fromCharCode(...(isV4 ? source.subarray(12, 16) : source.subarray(0, 8)));
}

/** Over all bytes whatever they are: the time tells nothing of where they differ. */
function equalMacs(a: Uint8Array, b: Uint8Array): boolean {
	let difference = a.length ^ b.length;
	for (let at = 0; at < a.length; at++) difference |= (a[at] ?? 0) ^ (b[at] ?? 0);
	return difference === 0;
}
