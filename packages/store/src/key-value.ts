import type { Closeable } from "@warren/kernel";

/** One key as it stands. */
export interface KeyValueEntry {
	readonly key: string;
	readonly value: Uint8Array;
	/** Grows with each change of any key in the same bucket. */
	readonly revision: number;
}

export type KeyValueChange =
	| { readonly kind: "put"; readonly entry: KeyValueEntry }
	| { readonly kind: "delete"; readonly key: string; readonly revision: number };

/**
 * Small shared state with watch and leases: registries, sessions' revocations, presence. Keys are dotted words
 * (`agents.web.1`); a prefix ends at a dot.
 */
export interface KeyValue extends Closeable {
	get(key: string): Promise<KeyValueEntry | null>;
	/** @returns the new revision. @param options.ttlMs a lease: the key vanishes unless it is put again in time. */
	put(key: string, value: Uint8Array, options?: { readonly ttlMs?: number }): Promise<number>;
	/** Writes only when the key stands at `expected` (0 = must not exist). @returns the new revision, or null when it does not. */
	compareAndSet(
		key: string,
		value: Uint8Array,
		expected: number,
		options?: { readonly ttlMs?: number },
	): Promise<number | null>;
	delete(key: string): Promise<void>;
	list(prefix: string): Promise<KeyValueEntry[]>;
	/** First what stands, then every change, in order of revision. */
	watch(prefix: string, watcher: (change: KeyValueChange) => void): Promise<Closeable>;
}
