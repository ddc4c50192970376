import { type Clock, evictOldest } from "@warren/kernel";

/** Counters that are remembered: address and path make one. The oldest is forgotten. */
const maxBuckets = 20_000;

/** Better Auth's rate limits on our clock, bounded, one table an instance. */
export class RateBuckets {
	readonly #clock: Clock;
	readonly #buckets = new Map<string, { count: number; startedAt: number }>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** @param rule.window seconds. */
	consume = async (
		key: string,
		rule: { readonly window: number; readonly max: number },
	): Promise<{ allowed: boolean; retryAfter: number | null }> => {
		const now = this.#clock.monotonic();
		const windowMs = rule.window * 1000;
		const found = this.#buckets.get(key);
		const bucket = found !== undefined && now - found.startedAt < windowMs ? found : { count: 0, startedAt: now };
		this.#buckets.delete(key);
		this.#buckets.set(key, bucket);
		evictOldest(this.#buckets, maxBuckets);
		if (bucket.count >= rule.max)
			return { allowed: false, retryAfter: Math.max(1, Math.ceil((bucket.startedAt + windowMs - now) / 1000)) };
		bucket.count += 1;
		return { allowed: true, retryAfter: null };
	};
}
