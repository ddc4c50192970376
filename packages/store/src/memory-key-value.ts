import { type Clock, type Closeable, type Logger, messageOf, type Timer } from "@warren/kernel";
import type { KeyValue, KeyValueChange, KeyValueEntry } from "./key-value.ts";

interface Watched {
	readonly prefix: string;
	readonly watcher: (change: KeyValueChange) => void;
}

/** The in-process implementation: lives and dies with its process. */
export class MemoryKeyValue implements KeyValue {
	readonly #clock: Clock;
	readonly #entries = new Map<string, KeyValueEntry>();
	readonly #leases = new Map<string, Timer>();
	readonly #watchers = new Set<Watched>();
	#revision = 0;
	readonly #logger: Logger;

	/** @param logger hears of watchers that throw: their fault is neither the writer's nor the next one's. */
	constructor(clock: Clock, logger: Logger) {
		this.#clock = clock;
		this.#logger = logger;
	}

	async get(key: string): Promise<KeyValueEntry | null> {
		const entry = this.#entries.get(key);
		return entry === undefined ? null : copyOf(entry);
	}

	async put(key: string, value: Uint8Array, options: { readonly ttlMs?: number } = {}): Promise<number> {
		return this.#write(key, value, options.ttlMs);
	}

	async compareAndSet(
		key: string,
		value: Uint8Array,
		expected: number,
		options: { readonly ttlMs?: number } = {},
	): Promise<number | null> {
		const stands = this.#entries.get(key)?.revision ?? 0;
		return stands === expected ? this.#write(key, value, options.ttlMs) : null;
	}

	async delete(key: string): Promise<void> {
		this.#remove(key);
	}

	async list(prefix: string): Promise<KeyValueEntry[]> {
		return [...this.#entries.values()]
			.filter((entry) => entry.key.startsWith(prefix))
			.sort((a, b) => (a.key < b.key ? -1 : 1))
			.map(copyOf);
	}

	async watch(prefix: string, watcher: (change: KeyValueChange) => void): Promise<Closeable> {
		const standing = [...this.#entries.values()]
			.filter((entry) => entry.key.startsWith(prefix))
			.sort((a, b) => a.revision - b.revision);
		const watched = { prefix, watcher };
		for (const entry of standing) this.#show(watched, { kind: "put", entry: copyOf(entry) });
		this.#watchers.add(watched);
		return { close: () => void this.#watchers.delete(watched) };
	}

	close(): void {
		for (const lease of this.#leases.values()) lease.cancel();
		this.#leases.clear();
		this.#watchers.clear();
	}

	#write(key: string, value: Uint8Array, ttlMs: number | undefined): number {
		this.#revision += 1;
		const entry = { key, value: value.slice(), revision: this.#revision };
		this.#entries.set(key, entry);
		this.#leases.get(key)?.cancel();
		this.#leases.delete(key);
		if (ttlMs !== undefined)
			this.#leases.set(
				key,
				this.#clock.after(ttlMs, () => this.#remove(key)),
			);
		this.#tell(key, { kind: "put", entry: copyOf(entry) });
		return entry.revision;
	}

	#remove(key: string): void {
		this.#leases.get(key)?.cancel();
		this.#leases.delete(key);
		if (!this.#entries.delete(key)) return;
		this.#revision += 1;
		this.#tell(key, { kind: "delete", key, revision: this.#revision });
	}

	#tell(key: string, change: KeyValueChange): void {
		for (const watched of this.#watchers) if (key.startsWith(watched.prefix)) this.#show(watched, change);
	}

	#show({ prefix, watcher }: Watched, change: KeyValueChange): void {
		try {
			watcher(change);
		} catch (fault) {
			this.#logger.error("a watcher failed", { prefix, fault: messageOf(fault) });
		}
	}
}

/** What is handed out may be changed by whoever has it; what is kept may not. */
function copyOf(entry: KeyValueEntry): KeyValueEntry {
	return { ...entry, value: entry.value.slice() };
}
