import { type Clock, type Closeable, type Logger, newId, type Random, type Timer } from "@warren/kernel";
import type { Bus, KeyValue } from "@warren/store";
import { decodeNote, encodeNote, type RoomNote, type SocketId } from "../protocol/index.ts";

/** What a room hears of the other relays that serve it. */
export interface RoomListener {
	/** @param relay negative; the same for all notes of one relay. */
	heard(relay: SocketId, note: RoomNote): void;
	relayGone(relay: SocketId): void;
}

export interface RoomExchangeDeps {
	readonly bus: Bus;
	/** For leases: of all relays one compacts a room. */
	readonly keyValue: KeyValue;
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
}

export const exchangeLimits = {
	/** Each relay says so often that it lives… */
	beatMs: 1_000,
	/** …and counts as gone after this silence. */
	goneMs: 3_500,
	/** A compaction that takes longer may be done twice; the log takes one of the two. */
	compactLeaseMs: 120_000,
	maxRelays: 1_000,
} as const;

const aliveSubject = "sync.relays";

interface KnownRelay {
	readonly number: SocketId;
	heardAt: number;
}

/**
 * Connects the rooms of several relays over one log. Everything said here is a hint: the log is the truth, and a relay
 * that heard nothing still finds it there.
 */
export class RoomExchange implements Closeable {
	/** Of this relay, new at each start. */
	readonly id: string;
	readonly #deps: RoomExchangeDeps;
	readonly #listeners = new Map<string, RoomListener>();
	readonly #relays = new Map<string, KnownRelay>();
	readonly #alive: Closeable;
	readonly #resumption: Closeable;
	readonly #resumed = new Set<() => void>();
	#next: SocketId = -1;
	#beat: Timer | undefined;

	constructor(deps: RoomExchangeDeps) {
		this.#deps = deps;
		this.id = newId(deps.random);
		this.#alive = deps.bus.subscribe(aliveSubject, ({ data }) => {
			const [id = "", goodbye] = Buffer.from(data).toString().split(" ");
			if (id === this.id) return;
			if (goodbye === undefined) this.#numberOf(id);
			else this.#gone(id);
		});
		this.#resumption = deps.bus.onResumed(() => this.#onResumed());
		this.#sayAlive();
	}

	/** False while nothing is heard: rooms look at the log more often then. */
	get connected(): boolean {
		return this.#deps.bus.connected;
	}

	/** Listens from when this resolves on, or from when the bus is back. One listener a room. */
	async open(room: string, listener: RoomListener): Promise<Closeable> {
		this.#listeners.set(room, listener);
		const subscription = this.#deps.bus.subscribe(subjectOf(room), ({ data }) => {
			const said = decodeNote(data);
			if (said === null || said.relay === this.id) return;
			listener.heard(this.#numberOf(said.relay), said.note);
		});
		await this.#deps.bus.settled();
		return {
			close: () => {
				if (this.#listeners.get(room) === listener) this.#listeners.delete(room);
				void subscription.close();
			},
		};
	}

	tell(room: string, note: RoomNote): void {
		this.#deps.bus.publish(subjectOf(room), encodeNote(this.id, note));
	}

	/** Called when notes may have been missed. */
	onResumed(watcher: () => void): Closeable {
		this.#resumed.add(watcher);
		return { close: () => void this.#resumed.delete(watcher) };
	}

	/** The right to compact a room, for a while; null when another has it, or nobody can be asked. */
	async claimCompaction(room: string): Promise<Closeable | null> {
		const key = `compact.${tokenOf(room)}`;
		const mine = Buffer.from(this.id);
		const { keyValue, logger } = this.#deps;
		try {
			const epoch = await keyValue.compareAndSet(key, mine, 0, { ttlMs: exchangeLimits.compactLeaseMs });
			if (epoch === null) return null;
			return {
				// Another's lease, taken after ours ran out, is not ours to end.
				close: async () => {
					await keyValue
						.compareAndSet(key, mine, epoch, { ttlMs: 1 })
						.catch(() => logger.debug("a lease runs out by itself", { room }));
				},
			};
		} catch {
			return null;
		}
	}

	/** Others need not wait to know that it is gone. */
	close(): void {
		if (this.#beat === undefined) return;
		this.#beat.cancel();
		this.#beat = undefined;
		this.#deps.bus.publish(aliveSubject, Buffer.from(`${this.id} goodbye`));
		void this.#alive.close();
		void this.#resumption.close();
		this.#listeners.clear();
	}

	#sayAlive(): void {
		this.#deps.bus.publish(aliveSubject, Buffer.from(this.id));
		this.#beat = this.#deps.clock.after(exchangeLimits.beatMs, () => {
			this.#sayAlive();
			this.#findGone();
		});
	}

	#findGone(): void {
		// Nothing is heard: that is no word about anybody.
		if (!this.#deps.bus.connected) return;
		const before = this.#deps.clock.monotonic() - exchangeLimits.goneMs;
		for (const [id, { heardAt }] of this.#relays) if (heardAt < before) this.#gone(id);
	}

	#gone(id: string): void {
		const known = this.#relays.get(id);
		if (known === undefined) return;
		this.#relays.delete(id);
		for (const listener of [...this.#listeners.values()]) listener.relayGone(known.number);
	}

	#onResumed(): void {
		const now = this.#deps.clock.monotonic();
		for (const relay of this.#relays.values()) relay.heardAt = now;
		for (const watcher of [...this.#resumed]) watcher();
	}

	#numberOf(id: string): SocketId {
		const now = this.#deps.clock.monotonic();
		const known = this.#relays.get(id);
		if (known !== undefined) {
			known.heardAt = now;
			return known.number;
		}
		const oldest = this.#relays.size >= exchangeLimits.maxRelays ? this.#relays.keys().next() : undefined;
		if (oldest?.done === false) this.#gone(oldest.value);
		const made = { number: this.#next--, heardAt: now };
		this.#relays.set(id, made);
		return made.number;
	}
}

/** A room's name may hold what a subject may not. */
function subjectOf(room: string): string {
	return `sync.room.${tokenOf(room)}`;
}

function tokenOf(room: string): string {
	return Buffer.from(room).toString("base64url");
}
