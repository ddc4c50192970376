import {
	type Clock,
	type Closeable,
	closeCodes,
	delay,
	type HealthTable,
	type Identity,
	type Logger,
	messageOf,
	type Timer,
	WarrenError,
} from "@warren/kernel";
import { syncConditions } from "../conditions.ts";
import { syncError } from "../errors.ts";
import type { UpdateLog } from "../log/update-log.ts";
import type { AwarenessEntry, MemberOptions, MemberStanding, SocketId, SyncLimits } from "../protocol/index.ts";
import type { RoomExchange } from "../shared/room-exchange.ts";
import type { DocumentWork } from "../worker/document-work.ts";
import { Committer } from "./committer.ts";
import { Compactor } from "./compactor.ts";
import { PreparedSyncs } from "./prepared-syncs.ts";
import { relayLimits } from "./relay-limits.ts";
import { RelayRoom, type RelayRoomDeps } from "./relay-room.ts";
import type { SyncSocket } from "./sync-socket.ts";

export interface SyncRelayDeps {
	readonly log: UpdateLog;
	/** Closed with the relay. */
	readonly documents: DocumentWork;
	readonly clock: Clock;
	readonly logger: Logger;
	/** Shows documents that are damaged and a disk that takes nothing. */
	readonly health?: HealthTable;
	/** Where several relays share the log. Closed with the relay. */
	readonly exchange?: RoomExchange;
}

export interface SyncRelayOptions {
	readonly limits?: Partial<SyncLimits>;
	readonly maxOpenRooms?: number;
	readonly idleRoomMs?: number;
	/** Instead of `relayLimits.expiryCheckMs`: each look wakes a relay that sleeps. */
	readonly expiryCheckMs?: number;
}

/** Who sits at a socket, for closing it when that changes. */
export interface Attendance {
	readonly room: string;
	readonly identity: Identity | null;
	readonly access: "read-only" | "read-write";
}

/** The rooms of one hub or sidecar: opened when somebody comes, closed when nobody is left. No document is ever built here. */
export class SyncRelay implements Closeable {
	readonly log: UpdateLog;
	readonly documents: DocumentWork;
	readonly compactor: Compactor;
	readonly clock: Clock;
	readonly #deps: SyncRelayDeps;
	readonly #options: SyncRelayOptions;
	readonly #committer: Committer;
	readonly #prepared = new PreparedSyncs();
	readonly #rooms = new Map<string, Promise<RelayRoom>>();
	readonly #opened = new Map<string, RelayRoom>();
	readonly #attendances = new Map<SocketId, Attendance & { readonly socket: SyncSocket }>();
	/** Sockets by whose they are. */
	readonly #owners = new Map<string, number>();
	readonly #idle = new Map<string, Timer>();
	readonly #watchers = new Set<(room: string, entries: readonly AwarenessEntry[]) => void>();
	readonly #commitWatchers = new Set<(room: string) => void>();
	#nextSocket: SocketId = 1;
	#expiry: Timer | undefined;
	#heads: Timer | undefined;
	#draining = false;
	#closing: Promise<void> | undefined;

	constructor(deps: SyncRelayDeps, options: SyncRelayOptions = {}) {
		this.#deps = deps;
		this.#options = options;
		this.log = deps.log;
		this.documents = deps.documents;
		this.clock = deps.clock;
		this.#committer = new Committer(deps.log, deps, relayLimits);
		const { log, documents } = this;
		const { clock, logger } = deps;
		const onQuarantined = (room: string, reason: string) => this.#quarantined(room, reason);
		const exchange = deps.exchange === undefined ? {} : { exchange: deps.exchange };
		const prepared = this.#prepared;
		this.compactor = new Compactor({ log, documents, prepared, clock, logger, onQuarantined, ...exchange });
		deps.exchange?.onResumed(() => {
			void this.#lookAtHeads();
			for (const room of this.#opened.values()) room.hello();
		});
		if (deps.exchange !== undefined) this.#armHeads(deps.exchange);
	}

	get openRooms(): number {
		return this.#opened.size;
	}

	get sockets(): number {
		return this.#attendances.size;
	}

	/**
	 * The room, opened if need be. Call `join` in the same turn: a room that nobody joins is soon forgotten.
	 * @param keepsUpdates false for rooms of presence alone.
	 * @throws WarrenError `quarantined`, `overloaded`.
	 */
	async open(room: string, keepsUpdates = true): Promise<RelayRoom> {
		if (this.#draining) throw syncError("overloaded", "The server is stopping.");
		const standing = this.#rooms.get(room);
		if (standing !== undefined) {
			const opened = await standing;
			// What a client was promised at another relay, it must not be asked for again here.
			await opened.refresh();
			return opened.ended ? this.open(room, keepsUpdates) : opened;
		}
		if (this.#rooms.size >= (this.#options.maxOpenRooms ?? relayLimits.maxOpenRooms)) {
			throw syncError("overloaded", `${this.#rooms.size} documents are open already.`);
		}
		const opening = this.#open(room, keepsUpdates);
		this.#rooms.set(room, opening);
		try {
			const opened = await opening;
			this.#deps.health?.clear(syncConditions.quarantined, room);
			this.#opened.set(room, opened);
			this.#watchIdle(opened);
			return opened;
		} catch (thrown) {
			this.#rooms.delete(room);
			throw thrown;
		}
	}

	/** @param standing of a socket that was here before this relay's memory was (S22). */
	join(
		room: RelayRoom,
		socket: SyncSocket,
		who: MemberOptions,
		identity: Identity | null,
		standing?: MemberStanding,
	): SocketId {
		const id = this.#nextSocket++;
		if (this.#socketsOf(who.owner) >= relayLimits.maxSocketsPerOwner) {
			socket.close(closeCodes.unavailable, "too_many", `${relayLimits.maxSocketsPerOwner} documents are open already`);
			return id;
		}
		this.#owners.set(who.owner, this.#socketsOf(who.owner) + 1);
		socket.onClose(() => {
			const left = this.#socketsOf(who.owner) - 1;
			if (left > 0) this.#owners.set(who.owner, left);
			else this.#owners.delete(who.owner);
		});
		this.#attendances.set(id, { room: room.room, identity, access: who.access, socket });
		socket.onClose(() => this.#attendances.delete(id));
		room.join(id, socket, who, standing);
		this.#expiry ??= this.#deps.clock.after(this.#expiryCheckMs, () => this.#checkExpiry());
		return id;
	}

	get #expiryCheckMs(): number {
		return this.#options.expiryCheckMs ?? relayLimits.expiryCheckMs;
	}

	/** Null when it is not here. */
	standingOf(id: SocketId): MemberStanding | null {
		const attendance = this.#attendances.get(id);
		return attendance === undefined ? null : (this.#opened.get(attendance.room)?.standingOf(id) ?? null);
	}

	#socketsOf(owner: string): number {
		return this.#owners.get(owner) ?? 0;
	}

	/** Closes what matches, as after a revocation. @returns how many. */
	disconnect(matches: (attendance: Attendance) => boolean, code: number, error: string, message: string): number {
		const matching = [...this.#attendances.values()].filter(matches);
		for (const { socket } of matching) socket.close(code, error, message);
		return matching.length;
	}

	/** Documents at which somebody sits now; rooms of presence alone are left out. */
	attendedDocuments(): string[] {
		const rooms = new Set([...this.#attendances.values()].map((each) => each.room));
		return [...rooms].filter((room) => this.#opened.get(room)?.keepsUpdates === true);
	}

	presence(room: string): readonly AwarenessEntry[] {
		return this.#opened.get(room)?.presence() ?? [];
	}

	/** Called after each change of awareness in any room. @returns its own removal. */
	watchPresence(watcher: (room: string, entries: readonly AwarenessEntry[]) => void): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}

	/** Called after each commit, for each room that it wrote. @returns its own removal. */
	watchCommits(watcher: (room: string) => void): () => void {
		this.#commitWatchers.add(watcher);
		return () => this.#commitWatchers.delete(watcher);
	}

	/** An edit of the server's own, on disk when this resolves. @throws WarrenError `quarantined`, `worker_failed`. */
	async insert(room: string, update: Uint8Array, owner: string): Promise<void> {
		const opened = await this.open(room);
		const refused = opened.insert(update, owner);
		if (refused !== null) throw syncError("worker_failed", `${refused}.`);
		await this.#committer.flush();
		if (opened.ended) throw syncError("overloaded", "The edit could not be written.");
	}

	/** What was received is on disk when this resolves. */
	flush(): Promise<void> {
		return this.#committer.flush();
	}

	/** Ends a room and everything it has. */
	async drop(room: string): Promise<void> {
		const [code, error, message] = [closeCodes.unknown, "unknown_document", "this document was deleted"] as const;
		this.#deps.exchange?.tell(room, { type: "ended", code, error, message });
		await this.end(room, code, error, message);
		await this.log.drop(room);
	}

	/** Closes an open room's sockets and forgets it. */
	async end(room: string, code: number, error: string, message: string): Promise<void> {
		const opened = await this.#rooms.get(room)?.catch(() => undefined);
		await this.#committer.flush();
		opened?.end(code, error, message);
		this.#prepared.forget(room);
	}

	/** Sockets are told to come back, spread over a moment; then everything is on disk and let go. */
	close(): Promise<void> {
		this.#closing ??= this.#drain();
		return this.#closing;
	}

	/** Sessions slide, so a socket whose session is over comes back once: it is let in again, or told to sign in. */
	#checkExpiry(): void {
		this.#expiry = undefined;
		const now = this.#deps.clock.now();
		const expired = ({ identity }: Attendance) => identity?.kind === "user" && identity.expiresAt <= now;
		this.disconnect(expired, closeCodes.unavailable, "session_over", "the session must be checked again");
		if (this.#attendances.size === 0 || this.#draining) return;
		this.#expiry = this.#deps.clock.after(this.#expiryCheckMs, () => this.#checkExpiry());
	}

	#armHeads(exchange: RoomExchange): void {
		const everyMs = exchange.connected ? relayLimits.headsMs : relayLimits.headsAloneMs;
		this.#heads = this.#deps.clock.after(everyMs, () => {
			void this.#lookAtHeads().finally(() => {
				if (!this.#draining) this.#armHeads(exchange);
			});
		});
	}

	/** How far the log reaches for each open room: a note that was lost costs time, never an update. */
	async #lookAtHeads(): Promise<void> {
		const known = new Map(
			[...this.#opened.values()].filter((room) => room.keepsUpdates).map((room) => [room, room.head] as const),
		);
		if (known.size === 0) return;
		try {
			const heads = await this.log.heads([...known.keys()].map((room) => room.room));
			for (const [room, before] of known) {
				const head = heads.get(room.room) ?? 0;
				if (head >= before) room.seen(head);
				// Deleted, or put back to an earlier state, without our hearing of it.
				else room.end(closeCodes.unavailable, "behind", "this document was replaced");
			}
		} catch (fault) {
			this.#deps.logger.warn("the log does not say how far it reaches", { fault: messageOf(fault) });
		}
	}

	async #drain(): Promise<void> {
		this.#draining = true;
		this.#expiry?.cancel();
		this.#heads?.cancel();
		const sockets = [...this.#attendances.values()];
		const steps = Math.min(sockets.length, 20);
		const overMs = Math.min(relayLimits.drainMs, sockets.length * relayLimits.drainPerSocketMs);
		for (let step = 0; step < steps; step++) {
			const from = Math.floor((step * sockets.length) / steps);
			const to = Math.floor(((step + 1) * sockets.length) / steps);
			for (const { socket } of sockets.slice(from, to))
				socket.close(closeCodes.draining, "draining", "the server is stopping");
			if (step < steps - 1) await delay(this.#deps.clock, overMs / steps);
		}
		await this.#committer.close();
		for (const timer of this.#idle.values()) timer.cancel();
		this.#idle.clear();
		for (const room of this.#opened.values()) room.end(closeCodes.draining, "draining", "the server is stopping");
		this.#deps.exchange?.close();
		await this.documents.close();
	}

	async #open(room: string, keepsUpdates: boolean): Promise<RelayRoom> {
		const head = await this.log.head(room);
		if (head.quarantine !== null) {
			this.#quarantined(room, head.quarantine);
			throw syncError("quarantined", `The document "${room}" is damaged: ${head.quarantine}.`);
		}
		const options = { room, keepsUpdates, limits: this.#options.limits ?? {} };
		try {
			return await RelayRoom.open(this.#roomDeps(), options);
		} catch (fault) {
			if (fault instanceof WarrenError && fault.retryable) throw fault;
			const reason = messageOf(fault);
			await this.log.quarantine(room, reason);
			this.#quarantined(room, reason);
			throw syncError("quarantined", `The document "${room}" is damaged: ${reason}.`);
		}
	}

	#quarantined(room: string, reason: string): void {
		this.#deps.logger.error("document quarantined", { room, reason });
		this.#deps.health?.raise(syncConditions.quarantined, { document: room, reason }, room);
	}

	#roomDeps(): RelayRoomDeps {
		return {
			log: this.log,
			documents: this.documents,
			prepared: this.#prepared,
			committer: this.#committer,
			clock: this.#deps.clock,
			logger: this.#deps.logger,
			...(this.#deps.exchange === undefined ? {} : { exchange: this.#deps.exchange }),
			onCommitted: (room) => {
				for (const watcher of this.#commitWatchers) watcher(room.room);
				this.compactor.consider(room);
			},
			onIdle: (room) => (room.ended ? this.#forget(room) : this.#watchIdle(room)),
			onPresence: (room) => {
				for (const watcher of this.#watchers) watcher(room.room, room.presence());
			},
			onDamaged: (room, fault) => {
				if (fault instanceof WarrenError && fault.retryable) {
					room.end(closeCodes.unavailable, fault.code, fault.message);
				} else void this.compactor.quarantine(room, messageOf(fault));
			},
		};
	}

	#watchIdle(room: RelayRoom): void {
		if (this.#idle.has(room.room)) return;
		const idleRoomMs = this.#options.idleRoomMs ?? relayLimits.idleRoomMs;
		const timer = this.#deps.clock.after(idleRoomMs, () => {
			this.#idle.delete(room.room);
			if (room.idle && !room.ended) void this.#rest(room);
		});
		this.#idle.set(room.room, timer);
	}

	/** Compacted while nobody looks, then forgotten; unless somebody came meanwhile. */
	async #rest(room: RelayRoom): Promise<void> {
		room.rest();
		this.#prepared.forget(room.room);
		if (room.tail.count > 0) await this.compactor.compact(room, { leased: true });
		if (room.idle) this.#forget(room);
	}

	#forget(room: RelayRoom): void {
		if (this.#opened.get(room.room) !== room) return;
		this.#idle.get(room.room)?.cancel();
		this.#idle.delete(room.room);
		this.#opened.delete(room.room);
		this.#rooms.delete(room.room);
		room.forgotten();
		this.compactor.forget(room.room);
	}
}
