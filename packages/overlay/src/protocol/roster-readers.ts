import type { OverlayPeerId } from "./peer-record.ts";
import type { Subscriber, SubscriberId } from "./subscriber-queue.ts";

/** Who reads the roster's changes: by stream, by the peer that it is of, and by the class that decides what it sees. */
export class RosterReaders {
	readonly #all = new Map<SubscriberId, Subscriber>();
	readonly #ofPeer = new Map<OverlayPeerId, Set<Subscriber>>();
	readonly #ofClass = new Map<string, Set<Subscriber>>();
	#ready = new Set<SubscriberId>();

	get size(): number {
		return this.#all.size;
	}

	get(id: SubscriberId): Subscriber | undefined {
		return this.#all.get(id);
	}

	add(reader: Subscriber): void {
		this.#all.set(reader.id, reader);
		addTo(this.#ofPeer, reader.viewer, reader);
		addTo(this.#ofClass, reader.classKey, reader);
	}

	remove(id: SubscriberId): void {
		const reader = this.#all.get(id);
		if (reader === undefined) return;
		this.#all.delete(id);
		this.#ready.delete(id);
		removeFrom(this.#ofPeer, reader.viewer, reader);
		removeFrom(this.#ofClass, reader.classKey, reader);
	}

	move(reader: Subscriber, toClass: string): void {
		removeFrom(this.#ofClass, reader.classKey, reader);
		reader.classKey = toClass;
		addTo(this.#ofClass, toClass, reader);
	}

	ofPeer(peerId: OverlayPeerId): ReadonlySet<Subscriber> | undefined {
		return this.#ofPeer.get(peerId);
	}

	ofClass(classKey: string): ReadonlySet<Subscriber> | undefined {
		return this.#ofClass.get(classKey);
	}

	classes(): Iterable<[string, ReadonlySet<Subscriber>]> {
		return this.#ofClass;
	}

	push(reader: Subscriber, bytes: Buffer): void {
		reader.queue.push(bytes);
		this.#ready.add(reader.id);
	}

	/** Something waits for it. */
	wake(reader: Subscriber): void {
		this.#ready.add(reader.id);
	}

	/** For whom something waits, since this was asked last. */
	takeReady(): Iterable<SubscriberId> {
		const ready = this.#ready;
		this.#ready = new Set();
		return ready;
	}
}

function addTo<K>(map: Map<K, Set<Subscriber>>, key: K, subscriber: Subscriber): void {
	const known = map.get(key);
	if (known === undefined) map.set(key, new Set([subscriber]));
	else known.add(subscriber);
}

function removeFrom<K>(map: Map<K, Set<Subscriber>>, key: K, subscriber: Subscriber): void {
	const known = map.get(key);
	known?.delete(subscriber);
	if (known?.size === 0) map.delete(key);
}
