import { JetStreamApiCodes, JetStreamApiError } from "@nats-io/jetstream";
import { type KV, type KvEntry, Kvm } from "@nats-io/kv";
import { type Clock, type Closeable, delay, type Logger, messageOf } from "@warren/kernel";
import type { KeyValue, KeyValueChange, KeyValueEntry } from "../key-value.ts";
import { LeaseTimers } from "../lease-timers.ts";
import { type Nats, natsFailure } from "./nats.ts";

/** Before each value on the wire: how long its lease is, milliseconds, unsigned, big-endian; 0 = it stays. */
const leaseHeaderBytes = 6;
/** A lease that could not be ended is tried again after this. */
const retryMs = 1_000;
/** Of a list, so many values are asked for at once. */
const readsAtOnce = 256;

interface Watched {
	close(): void;
}

/**
 * Key-value in a JetStream bucket. Whoever sees a lease run out deletes the key, if it still stands as it was seen: the
 * server's own per-key expiry came with 2.11, and Debian's is older.
 */
export class NatsKeyValue implements KeyValue {
	readonly #nats: Nats;
	readonly #kv: KV;
	/** Its whole name, as subjects have it. */
	readonly #bucket: string;
	readonly #clock: Clock;
	readonly #logger: Logger;
	readonly #leases: LeaseTimers;
	readonly #watches = new Set<Watched>();
	#closed = false;

	private constructor(nats: Nats, kv: KV, bucket: string, clock: Clock, logger: Logger) {
		this.#nats = nats;
		this.#kv = kv;
		this.#bucket = bucket;
		this.#clock = clock;
		this.#logger = logger;
		this.#leases = new LeaseTimers(clock, (key, revision) => void this.#end(key, revision));
	}

	/** @param bucket letters, digits, dashes. @throws WarrenError `store_away`. */
	static async open(
		nats: Nats,
		bucket: string,
		deps: { readonly clock: Clock; readonly logger: Logger },
		options: {
			readonly replicas?: number;
			/** What was not written for so long goes, traces of deleted keys too: for buckets that hold leases alone. */
			readonly maxAgeMs?: number;
		} = {},
	): Promise<NatsKeyValue> {
		const name = `${nats.prefix}-${bucket}`;
		try {
			const kv = await new Kvm(nats.jetstream).create(name, {
				// One copy a key, and reads from the leader: a lease that was just taken must show.
				history: 1,
				allow_direct: false,
				...(options.replicas === undefined ? {} : { replicas: options.replicas }),
				...(options.maxAgeMs === undefined ? {} : { ttl: options.maxAgeMs }),
			});
			const store = new NatsKeyValue(nats, kv, name, deps.clock, deps.logger);
			// Leases of others end here too: whoever took one may be dead.
			await store.watch("", () => {});
			return store;
		} catch (cause) {
			throw natsFailure(`open the bucket ${bucket}`, cause);
		}
	}

	async get(key: string): Promise<KeyValueEntry | null> {
		const entry = await this.#kv.get(key).catch((cause: unknown) => {
			throw natsFailure(`give ${key}`, cause);
		});
		if (entry === null || entry.operation !== "PUT" || this.#leases.isOver(key, entry.revision)) return null;
		return entryOf(entry);
	}

	async put(key: string, value: Uint8Array, options: { readonly ttlMs?: number } = {}): Promise<number> {
		const ttlMs = options.ttlMs ?? 0;
		const revision = await this.#kv.put(key, onWire(value, ttlMs)).catch((cause: unknown) => {
			throw natsFailure(`put ${key}`, cause);
		});
		this.#leases.seen(key, revision, ttlMs);
		return revision;
	}

	async compareAndSet(
		key: string,
		value: Uint8Array,
		expected: number,
		options: { readonly ttlMs?: number } = {},
	): Promise<number | null> {
		const ttlMs = options.ttlMs ?? 0;
		const data = onWire(value, ttlMs);
		try {
			const revision = expected === 0 ? await this.#kv.create(key, data) : await this.#kv.update(key, data, expected);
			this.#leases.seen(key, revision, ttlMs);
			return revision;
		} catch (cause) {
			if (isOtherRevision(cause)) return null;
			throw natsFailure(`set ${key}`, cause);
		}
	}

	async delete(key: string): Promise<void> {
		if ((await this.get(key)) === null) return;
		await this.#kv.delete(key).catch((cause: unknown) => {
			throw natsFailure(`delete ${key}`, cause);
		});
	}

	/**
	 * Its keys as they stand at one moment, then each as it stands when it is read: reading the bucket through would never
	 * end where it is written meanwhile.
	 */
	async list(prefix: string): Promise<KeyValueEntry[]> {
		const keys = await this.#keysOf(prefix);
		const entries: KeyValueEntry[] = [];
		for (let from = 0; from < keys.length; from += readsAtOnce) {
			const read = await Promise.all(keys.slice(from, from + readsAtOnce).map((key) => this.get(key)));
			for (const entry of read) if (entry !== null) entries.push(entry);
		}
		return entries;
	}

	async #keysOf(prefix: string): Promise<string[]> {
		const head = `$KV.${this.#bucket}.`;
		try {
			const { state } = await this.#nats.manager.streams.info(`KV_${this.#bucket}`, {
				subjects_filter: `${head}${filterOf(prefix)}`,
			});
			return Object.keys(state.subjects ?? {})
				.map((subject) => subject.slice(head.length))
				.sort();
		} catch (cause) {
			throw natsFailure(`list ${prefix}`, cause);
		}
	}

	async watch(prefix: string, watcher: (change: KeyValueChange) => void): Promise<Closeable> {
		const entries = await this.#kv.watch({ key: filterOf(prefix) }).catch((cause: unknown) => {
			throw natsFailure(`watch ${prefix}`, cause);
		});
		let open = true;
		/** Keys that this watcher was told of: a deletion of any other is none of its business. */
		const told = new Set<string>();
		const run = async () => {
			for await (const entry of entries) {
				if (!open) return;
				const change = this.#seen(entry);
				if (change.kind === "put") told.add(change.entry.key);
				else if (!told.delete(change.key)) continue;
				try {
					watcher(change);
				} catch (fault) {
					this.#logger.error("a watcher failed", { prefix, fault: messageOf(fault) });
				}
			}
		};
		run().catch((fault: unknown) => this.#logger.error("a watch ended", { prefix, fault: messageOf(fault) }));
		const watched = {
			close: () => {
				open = false;
				this.#watches.delete(watched);
				entries.stop();
			},
		};
		this.#watches.add(watched);
		return watched;
	}

	close(): void {
		this.#closed = true;
		this.#leases.close();
		for (const watched of [...this.#watches]) watched.close();
	}

	#seen(entry: KvEntry): KeyValueChange {
		const { key, revision } = entry;
		if (entry.operation === "PUT") {
			this.#leases.seen(key, revision, ttlOf(entry.value));
			return { kind: "put", entry: entryOf(entry) };
		}
		this.#leases.gone(key, revision);
		return { kind: "delete", key, revision };
	}

	/** Of all who try, one succeeds; the others find another revision. */
	async #end(key: string, revision: number): Promise<void> {
		for (;;) {
			if (this.#closed) return;
			try {
				await this.#kv.delete(key, { previousSeq: revision });
				return;
			} catch (fault) {
				if (isOtherRevision(fault) || this.#closed || this.#nats.connection.isClosed()) return;
				this.#logger.warn("a lease was not ended yet", { key, fault: messageOf(fault) });
				await delay(this.#clock, retryMs);
			}
		}
	}
}

function isOtherRevision(fault: unknown): boolean {
	return fault instanceof JetStreamApiError && fault.code === JetStreamApiCodes.StreamWrongLastSequence;
}

function filterOf(prefix: string): string {
	return prefix === "" ? ">" : `${prefix}>`;
}

function onWire(value: Uint8Array, ttlMs: number): Uint8Array {
	const bytes = Buffer.allocUnsafe(leaseHeaderBytes + value.length);
	bytes.writeUIntBE(ttlMs, 0, leaseHeaderBytes);
	bytes.set(value, leaseHeaderBytes);
	return bytes;
}

function ttlOf(bytes: Uint8Array): number {
	return bytes.length < leaseHeaderBytes ? 0 : Buffer.from(bytes).readUIntBE(0, leaseHeaderBytes);
}

function entryOf(entry: KvEntry): KeyValueEntry {
	return { key: entry.key, value: entry.value.slice(leaseHeaderBytes), revision: entry.revision };
}
