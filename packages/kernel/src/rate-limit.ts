import type { Clock } from "./clock.ts";
import { evictOldest } from "./evict-oldest.ts";

/** Whoever was put last in line is left there for so long: moving it each time costs more than all the rest. */
const placedForMs = 1_000;

interface Bucket {
	tokens: number;
	at: number;
	/** When it was last put at the end of the line. */
	placedAt: number;
}

/**
 * A token bucket per key (address, principal); of IPv6 per network. Bounded: the least recently used key is forgotten, to
 * the second.
 */
export class RateLimit {
	readonly #clock: Clock;
	readonly #limits: RateLimits;
	readonly #buckets = new Map<string, Bucket>();

	constructor(clock: Clock, limits: RateLimits) {
		this.#clock = clock;
		this.#limits = limits;
	}

	/** Takes one token. @returns 0 when it may proceed, else the milliseconds until it may. */
	take(key: string, cost = 1): number {
		const bucket = this.#refill(key);
		const waitMs = this.#untilMs(bucket.tokens, cost);
		if (waitMs === 0) bucket.tokens -= cost;
		return waitMs;
	}

	/** Milliseconds until a token is there, without taking it. */
	waitMs(key: string): number {
		return this.#untilMs(this.#refill(key).tokens, 1);
	}

	/** Gives a key its full burst back: after a success that proves it honest. */
	forgive(key: string): void {
		this.#buckets.delete(networkOf(key));
	}

	/** Rounded so that whoever waits as long as it was told is let in: the sum of many refills is not exact. */
	#untilMs(tokens: number, cost: number): number {
		return Math.max(0, Math.ceil(((cost - tokens) / this.#limits.perSecond) * 1000 - 1e-6));
	}

	#refill(of: string): Bucket {
		const key = networkOf(of);
		const now = this.#clock.monotonic();
		const found = this.#buckets.get(key);
		const bucket = found ?? { tokens: this.#limits.burst, at: now, placedAt: now };
		bucket.tokens = Math.min(this.#limits.burst, bucket.tokens + ((now - bucket.at) / 1000) * this.#limits.perSecond);
		bucket.at = now;
		if (found !== undefined) {
			if (now - bucket.placedAt < placedForMs) return bucket;
			bucket.placedAt = now;
			this.#buckets.delete(key);
		}
		this.#buckets.set(key, bucket);
		evictOldest(this.#buckets, this.#limits.maxKeys);
		return bucket;
	}
}

/**
 * Who stands behind a public IPv6 address: its network (/64, RFC 4291 section 2.5.4), since one machine has all of that
 * to choose from. Every other key is its own.
 */
function networkOf(key: string): string {
	if (!/^[23][0-9a-f]{3}:[0-9a-f:]*$/.test(key)) return key;
	const [head = "", tail] = key.split("::");
	const first = head.split(":");
	const last = tail === undefined || tail === "" ? [] : tail.split(":");
	const left = Math.max(0, 8 - first.length - last.length);
	return [...first, ...Array.from({ length: left }, () => "0"), ...last].slice(0, 4).join(":");
}

export interface RateLimits {
	readonly perSecond: number;
	readonly burst: number;
	readonly maxKeys: number;
}
