import type { Clock } from "./clock.ts";
import { evictOldest } from "./evict-oldest.ts";

/** Values that die at their own time, at most `maxEntries` of them (the oldest go first). */
export class ExpiringMap<K, V> {
	readonly #clock: Clock;
	readonly #maxEntries: number;
	readonly #entries = new Map<K, { readonly value: V; readonly expiresAt: number }>();

	constructor(clock: Clock, maxEntries: number) {
		this.#clock = clock;
		this.#maxEntries = maxEntries;
	}

	set(key: K, value: V, ttlMs: number): void {
		this.#entries.delete(key);
		if (this.#entries.size >= this.#maxEntries) this.#evict();
		this.#entries.set(key, { value, expiresAt: this.#clock.monotonic() + ttlMs });
	}

	get(key: K): V | undefined {
		const entry = this.#entries.get(key);
		if (entry === undefined) return undefined;
		if (this.#clock.monotonic() < entry.expiresAt) return entry.value;
		this.#entries.delete(key);
		return undefined;
	}

	/** Gives the value and forgets it: single use. */
	take(key: K): V | undefined {
		const value = this.get(key);
		this.#entries.delete(key);
		return value;
	}

	delete(key: K): boolean {
		return this.#entries.delete(key);
	}

	deleteWhere(matches: (value: V) => boolean): void {
		for (const [key, entry] of this.#entries) if (matches(entry.value)) this.#entries.delete(key);
	}

	clear(): void {
		this.#entries.clear();
	}

	get size(): number {
		return this.#entries.size;
	}

	#evict(): void {
		const now = this.#clock.monotonic();
		for (const [key, entry] of this.#entries) if (entry.expiresAt <= now) this.#entries.delete(key);
		evictOldest(this.#entries, this.#maxEntries - 1);
	}
}
