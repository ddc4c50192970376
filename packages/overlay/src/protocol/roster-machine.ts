import { type Change, ChangeLog } from "./change-log.ts";
import type { OverlayPeerId, PeerRecord } from "./peer-record.ts";
import type { Policy } from "./policy.ts";
import { type Edge, PolicyGraph, type TagClass, tagClass } from "./policy-graph.ts";
import {
	addedFrame,
	ClassMembers,
	changeFrame,
	jsonOf,
	kindOf,
	lightPatch,
	type Published,
	publish,
} from "./published-peer.ts";
import { RosterReaders } from "./roster-readers.ts";
import { encodeEvent } from "./sse.ts";
import { type Subscriber, type SubscriberId, SubscriberQueue } from "./subscriber-queue.ts";

export const rosterLimits = {
	/** Changes of this long are published together. */
	coalesceMs: 2,
	/** Changes that a reader who was away can catch up with; beyond it, everything anew. */
	loggedChanges: 16_384,
	/** Bytes that may wait for one reader; beyond it, everything anew once it reads. */
	maxQueuedBytes: 1024 * 1024,
} as const;

/** Where an earlier leader of several coordinators left off. */
export interface RosterStart {
	/** Null = nobody led before. */
	readonly epoch: string | null;
	readonly sequence: number;
	/** The last changes, up to `sequence`. */
	readonly log: readonly Change[];
	readonly records: readonly PeerRecord[];
}

/** Who keeps the roster for the next leader; told within the turn in which it changes. */
export interface RosterJournal {
	begun(epoch: string, sequence: number): void;
	/** All readers begin anew. */
	restarted(epoch: string, sequence: number): void;
	changed(sequence: number, change: Change, record: PeerRecord | null): void;
}

/**
 * Who sees whom, and what changed for whom. Takes records and a policy; gives each reader a first full roster, then
 * deltas through the same visibility. A delta costs the readers that it concerns. Rules: SPEC.md.
 */
export class RosterMachine {
	#graph: PolicyGraph;
	readonly #limits: { readonly [K in keyof typeof rosterLimits]: number };
	/** Tells this run's sequence from an earlier one's. */
	#epoch: string;
	readonly #nextEpoch: () => string;
	readonly #classes = new Map<string, TagClass>();
	readonly #members = new ClassMembers();
	readonly #published = new Map<OverlayPeerId, Published>();
	readonly #dirty = new Map<OverlayPeerId, PeerRecord | null>();
	#dirtySince: number | null = null;
	readonly #log: ChangeLog;
	readonly #readers = new RosterReaders();
	/** The leader's before this one: its readers go on here, as far as what it told is known. */
	#earlier: { readonly epoch: string; readonly through: number } | null = null;
	#journal: RosterJournal | null = null;

	/** @param nextEpoch a fresh word each time: readers of another epoch get everything anew. */
	constructor(policy: Policy, nextEpoch: () => string, limits: Partial<typeof rosterLimits> = {}) {
		this.#graph = new PolicyGraph(policy);
		this.#nextEpoch = nextEpoch;
		this.#epoch = nextEpoch();
		this.#limits = { ...rosterLimits, ...limits };
		this.#log = new ChangeLog(this.#limits.loggedChanges);
	}

	/** Goes on where an earlier leader left off. Once, before anything else. */
	restore(start: RosterStart, journal: RosterJournal): void {
		this.#log.restore(start.sequence, start.log);
		// Numbers that it told and nobody kept may come again with another meaning: hence an epoch of our own.
		this.#earlier = start.epoch === null ? null : { epoch: start.epoch, through: start.sequence };
		for (const record of start.records) {
			const published = this.#prepare(record);
			this.#published.set(record.peer_id, published);
			this.#members.add(published);
		}
		this.#journal = journal;
		journal.begun(this.#epoch, this.#log.sequence);
	}

	get policy(): Policy {
		return this.#graph.policy;
	}

	get size(): number {
		return this.#published.size;
	}

	get subscriberCount(): number {
		return this.#readers.size;
	}

	/** Adds a peer or changes it. Seen by others after the next `flush`. */
	upsert(record: PeerRecord, now: number): void {
		this.#dirty.set(record.peer_id, record);
		this.#dirtySince ??= now;
	}

	remove(peerId: OverlayPeerId, now: number): void {
		if (this.#published.has(peerId)) {
			this.#dirty.set(peerId, null);
			this.#dirtySince ??= now;
		} else this.#dirty.delete(peerId);
	}

	/** When to call `flush`; null = nothing waits. */
	get deadline(): number | null {
		return this.#dirtySince === null ? null : this.#dirtySince + this.#limits.coalesceMs;
	}

	/** The records of the peers that this one sees, as a JSON array. */
	rosterOf(viewer: OverlayPeerId): string {
		this.flush();
		const parts: string[] = [];
		this.#eachSeen(viewer, (peer, edge) => parts.push(jsonOf(peer, edge)));
		return `[${parts.join(",")}]`;
	}

	/** Whether the policy lets the two see each other. */
	sees(viewer: OverlayPeerId, other: OverlayPeerId): boolean {
		this.flush();
		const [from, to] = [this.#published.get(viewer), this.#published.get(other)];
		return (
			from !== undefined &&
			to !== undefined &&
			viewer !== other &&
			this.#graph.edge(from.inClass.key, to.inClass.key) !== null
		);
	}

	edgeBetween(viewer: OverlayPeerId, other: OverlayPeerId): Edge | null {
		this.flush();
		const [from, to] = [this.#published.get(viewer), this.#published.get(other)];
		return from === undefined || to === undefined ? null : this.#graph.edge(from.inClass.key, to.inClass.key);
	}

	/** Where the roster stands: what a reader names to go on from here. */
	get position(): string {
		return `${this.#epoch}-${this.#log.sequence}`;
	}

	/**
	 * A reader of the stream. @param after the id that it saw last; a roster that is known from there is continued.
	 * @param patches it takes `peer_patched`, `snapshot_begin`, `snapshot_end`.
	 * @returns false when this viewer is not registered.
	 */
	subscribe(id: SubscriberId, viewer: OverlayPeerId, patches: boolean, after: string | null): boolean {
		this.flush();
		const at = this.#published.get(viewer);
		if (at === undefined) return false;
		const subscriber: Subscriber = {
			id,
			viewer,
			patches,
			classKey: at.inClass.key,
			queue: new SubscriberQueue(this.#limits.maxQueuedBytes),
		};
		this.#readers.add(subscriber);
		if (!this.#resume(subscriber, after)) this.#snapshot(subscriber);
		this.#readers.wake(subscriber);
		return true;
	}

	unsubscribe(id: SubscriberId): void {
		this.#readers.remove(id);
	}

	/** An event for every stream of one peer. @returns false when it has none. */
	tell(viewer: OverlayPeerId, event: string, data: object): boolean {
		const readers = this.#readers.ofPeer(viewer);
		if (readers === undefined) return false;
		const bytes = encodeEvent(event, JSON.stringify(data));
		for (const reader of readers) this.#push(reader, bytes);
		return true;
	}

	/** Readers for whom something waits, since this was asked last. */
	takeReady(): Iterable<SubscriberId> {
		return this.#readers.takeReady();
	}

	/**
	 * All that waits for a reader, in one piece; null = nothing. `end`: its peer is gone, or it fell too far behind for a
	 * stream without snapshots: close it after this.
	 */
	take(id: SubscriberId): { readonly bytes: Buffer; readonly end: boolean } | null {
		const subscriber = this.#readers.get(id);
		if (subscriber === undefined) return null;
		if (subscriber.queue.overflowed && subscriber.patches) {
			this.flush();
			subscriber.queue.reset();
			this.#snapshot(subscriber);
		}
		return subscriber.queue.take();
	}

	setPolicy(policy: Policy): void {
		this.flush();
		const before = this.#graph;
		this.#graph = new PolicyGraph(policy, this.#classes.values());
		this.#epoch = this.#nextEpoch();
		this.#earlier = null;
		this.#log.forget();
		this.#journal?.restarted(this.#epoch, this.#log.sequence);
		for (const [viewerClass, readers] of this.#readers.classes())
			this.#tellDifference(before.neighbours(viewerClass), this.#graph.neighbours(viewerClass), readers);
	}

	/** Publishes what changed. */
	flush(): void {
		if (this.#dirtySince === null) return;
		this.#dirtySince = null;
		const dirty = [...this.#dirty];
		this.#dirty.clear();
		for (const [peerId, record] of dirty) this.#publish(peerId, record);
	}

	#publish(peerId: OverlayPeerId, record: PeerRecord | null): void {
		const before = this.#published.get(peerId);
		const after = record === null ? undefined : this.#prepare(record);
		if (before?.json === after?.json) return;
		if (before !== undefined) this.#members.remove(before);
		if (after === undefined) this.#published.delete(peerId);
		else {
			this.#published.set(peerId, after);
			this.#members.add(after);
		}
		const change = { peerId, before: before?.inClass.key ?? null, after: after?.inClass.key ?? null };
		this.#log.add(change);
		this.#journal?.changed(this.#log.sequence, change, record);
		this.#tellReaders(peerId, before, after);
		if (after === undefined) this.#endReaders(peerId);
		else if (before !== undefined && before.inClass !== after.inClass)
			this.#moveReaders(peerId, before.inClass, after.inClass);
		if (before !== undefined) this.#dropEmpty(before.inClass);
	}

	#tellReaders(peerId: OverlayPeerId, before: Published | undefined, after: Published | undefined): void {
		const was = before === undefined ? none : this.#graph.neighbours(before.inClass.key);
		const is = after === undefined ? none : this.#graph.neighbours(after.inClass.key);
		const patch = lightPatch(before, after);
		const patchFrame = patch === null ? null : encodeEvent("peer_patched", patch, this.position);
		const shown = (after ?? before) as Published;
		const made = new Map<string, Buffer>();
		const seen =
			before === undefined
				? is.keys()
				: after === undefined || is === was
					? was.keys()
					: new Set([...was.keys(), ...is.keys()]);
		for (const viewerClass of seen) {
			const readers = this.#readers.ofClass(viewerClass);
			if (readers === undefined) continue;
			const edge = after === undefined ? undefined : (this.#graph.edge(viewerClass, after.inClass.key) ?? undefined);
			const kind = was.has(viewerClass) ? (edge === undefined ? "removed" : "updated") : "added";
			const key = `${kind} ${edge?.words ?? ""}`;
			for (const reader of readers) {
				if (reader.viewer === peerId) continue;
				if (kind === "updated" && patchFrame !== null && reader.patches) {
					this.#push(reader, patchFrame);
					continue;
				}
				let bytes = made.get(key);
				if (bytes === undefined) {
					bytes = changeFrame(kind, shown, edge, this.position);
					made.set(key, bytes);
				}
				this.#push(reader, bytes);
			}
		}
	}

	/** The viewer's own tags changed: others come and go for it. */
	#moveReaders(viewer: OverlayPeerId, from: TagClass, to: TagClass): void {
		const readers = this.#readers.ofPeer(viewer);
		if (readers === undefined) return;
		for (const reader of readers) this.#readers.move(reader, to.key);
		this.#tellDifference(this.#graph.neighbours(from.key), this.#graph.neighbours(to.key), readers);
	}

	/** To readers whose view becomes another one: whoever comes, goes, or is seen otherwise. */
	#tellDifference(
		was: ReadonlyMap<string, Edge>,
		is: ReadonlyMap<string, Edge>,
		readers: ReadonlySet<Subscriber>,
	): void {
		for (const seen of new Set([...was.keys(), ...is.keys()])) {
			const change = kindOf(was.get(seen), is.get(seen));
			if (change === "same") continue;
			for (const peer of this.#members.of(seen)) {
				const bytes = changeFrame(change, peer, is.get(seen), this.position);
				for (const reader of readers) if (reader.viewer !== peer.record.peer_id) this.#push(reader, bytes);
			}
		}
	}

	#endReaders(viewer: OverlayPeerId): void {
		const bytes = encodeEvent(
			"error",
			JSON.stringify({ error: "unknown_peer", message: "This peer is no longer registered: register again." }),
		);
		for (const reader of [...(this.#readers.ofPeer(viewer) ?? [])]) {
			reader.queue.end(bytes);
			this.#readers.wake(reader);
		}
	}

	/** Continues from `after` when the log reaches back to it. */
	#resume(subscriber: Subscriber, after: string | null): boolean {
		const match = /^(.+)-(\d{1,15})$/.exec(after ?? "");
		if (match === null) return false;
		const from = Number(match[2]);
		const isEarlier = this.#earlier !== null && match[1] === this.#earlier.epoch && from <= this.#earlier.through;
		if (match[1] !== this.#epoch && !isEarlier) return false;
		const missed = this.#log.after(from);
		if (missed === null) return false;
		const changed = new Map<OverlayPeerId, boolean>();
		for (const change of missed) {
			if (change.peerId === subscriber.viewer) {
				if (change.before !== change.after) return false;
				continue;
			}
			const seenBefore = change.before !== null && this.#graph.edge(subscriber.classKey, change.before) !== null;
			changed.set(change.peerId, (changed.get(change.peerId) ?? false) || seenBefore);
		}
		for (const [peerId, known] of changed) {
			const peer = this.#published.get(peerId);
			const edge = peer === undefined ? null : this.#graph.edge(subscriber.classKey, peer.inClass.key);
			if (peer !== undefined && edge !== null)
				this.#push(subscriber, changeFrame(known ? "updated" : "added", peer, edge));
			// A class that is gone has no edges any more: a removal too many does no harm.
			else this.#push(subscriber, encodeEvent("peer_removed", JSON.stringify({ peer_id: peerId })));
		}
		this.#push(subscriber, encodeEvent("roster_resumed", JSON.stringify({ changes: changed.size }), this.position));
		return true;
	}

	#snapshot(subscriber: Subscriber): void {
		const frames: Buffer[] = [];
		if (subscriber.patches) frames.push(encodeEvent("snapshot_begin", "{}"));
		let count = 0;
		this.#eachSeen(subscriber.viewer, (peer, edge) => {
			frames.push(addedFrame(peer, edge));
			count += 1;
		});
		if (subscriber.patches) frames.push(encodeEvent("snapshot_end", JSON.stringify({ peers: count }), this.position));
		// However large: it is what the reader asked for, and it replaces all that waited.
		subscriber.queue.replace(frames);
		this.#readers.wake(subscriber);
	}

	#eachSeen(viewer: OverlayPeerId, visit: (peer: Published, edge: Edge) => void): void {
		const at = this.#published.get(viewer);
		if (at === undefined) return;
		for (const [seen, edge] of this.#graph.neighbours(at.inClass.key))
			for (const peer of this.#members.of(seen)) if (peer.record.peer_id !== viewer) visit(peer, edge);
	}

	#push(subscriber: Subscriber, bytes: Buffer): void {
		this.#readers.push(subscriber, bytes);
	}

	#prepare(record: PeerRecord): Published {
		const wanted = tagClass(record.network, record.tags);
		let inClass = this.#classes.get(wanted.key);
		if (inClass === undefined) {
			inClass = wanted;
			this.#classes.set(wanted.key, wanted);
			this.#graph.add(wanted);
		}
		return publish(record, inClass);
	}

	#dropEmpty(emptied: TagClass): void {
		if (this.#readers.ofClass(emptied.key) !== undefined || !this.#members.dropEmpty(emptied.key)) return;
		this.#classes.delete(emptied.key);
		this.#graph.remove(emptied.key);
	}
}

const none: ReadonlyMap<string, Edge> = new Map();
