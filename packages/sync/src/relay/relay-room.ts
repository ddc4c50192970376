import { type Clock, type Closeable, closeCodes, type Logger, type Timer, unreachable } from "@warren/kernel";
import type { RoomHead, UpdateLog } from "../log/update-log.ts";
import {
	type AwarenessEntry,
	Coverage,
	encodeUpdate,
	type LoggedUpdate,
	type MemberOptions,
	type MemberStanding,
	type OwnedEntry,
	type PendingUpdate,
	presenceNotes,
	type RoomEffect,
	RoomMachine,
	type RoomNote,
	readUpdate,
	runsBySource,
	type SocketId,
	type SyncLimits,
} from "../protocol/index.ts";
import type { RoomExchange, RoomListener } from "../shared/room-exchange.ts";
import { SharedRoom } from "../shared/shared-room.ts";
import type { CommitTarget, Committer } from "./committer.ts";
import { FirstSync, type FirstSyncDeps } from "./first-sync.ts";
import { Outgoing } from "./outgoing.ts";
import { RecentUpdates } from "./recent-updates.ts";
import { relayLimits } from "./relay-limits.ts";
import type { SyncSocket } from "./sync-socket.ts";

export interface RelayRoomDeps extends FirstSyncDeps {
	readonly log: UpdateLog;
	readonly committer: Committer;
	readonly clock: Clock;
	readonly logger: Logger;
	/** After a commit: perhaps it is time to compact. */
	readonly onCommitted: (room: RelayRoom) => void;
	/** The last socket left, or the room must not go on. */
	readonly onIdle: (room: RelayRoom) => void;
	readonly onPresence: (room: RelayRoom) => void;
	/** The log cannot be read: quarantine. */
	readonly onDamaged: (room: RelayRoom, fault: unknown) => void;
	/** Where several relays share the log. */
	readonly exchange?: RoomExchange;
}

export interface RelayRoomOptions {
	readonly room: string;
	readonly keepsUpdates: boolean;
	readonly limits?: Partial<SyncLimits>;
}

/** One open room: performs what its machine decides. No decision is made here. */
export class RelayRoom implements CommitTarget {
	readonly room: string;
	readonly #deps: RelayRoomDeps;
	readonly #machine: RoomMachine;
	readonly #firstSync: FirstSync;
	readonly #recent = new RecentUpdates();
	readonly #sockets = new Map<SocketId, SyncSocket>();
	/** For deciding when to compact; of what is on disk. */
	tail: { count: number; bytes: number };
	snapshotBytes: number;
	#planning: Promise<void> = Promise.resolve();
	/** What sockets have whose first sync is to be planned when its turn comes: the last word counts. */
	readonly #asked = new Map<SocketId, ReadonlyMap<number, number>>();
	#timer: Timer | undefined;
	#timerAt = Number.POSITIVE_INFINITY;
	#ended = false;
	/** What other relays have to do with it; null when it is this relay's alone. */
	readonly #shared: SharedRoom | null;
	readonly #keepsUpdates: boolean;
	#listening: Closeable | undefined;

	private constructor(deps: RelayRoomDeps, options: RelayRoomOptions, head: RoomHead, coverage: Coverage) {
		this.#deps = deps;
		this.room = options.room;
		this.tail = { ...head.tail };
		this.snapshotBytes = head.snapshot?.bytes ?? 0;
		this.#machine = new RoomMachine({
			head: head.head,
			coverage,
			keepsUpdates: options.keepsUpdates,
			shared: deps.exchange !== undefined,
			storedBytes: head.tail.bytes + (head.snapshot?.bytes ?? 0),
			limits: options.limits ?? {},
		});
		this.#firstSync = new FirstSync(deps, options.room);
		this.#keepsUpdates = options.keepsUpdates;
		this.#shared = deps.exchange === undefined ? null : this.#share(deps.exchange, head.head);
	}

	/** Reads what the log covers; no document is built. @throws Error when the log holds what cannot be read. */
	static async open(deps: RelayRoomDeps, options: RelayRoomOptions): Promise<RelayRoom> {
		// Before the log is read: what is written after that is heard.
		const early = new EarlyNotes();
		const listening = await deps.exchange?.open(options.room, early);
		try {
			const room = await RelayRoom.#read(deps, options);
			if (listening === undefined) return room;
			room.#listening = listening;
			early.passOn(room);
			room.hello();
			return room;
		} catch (fault) {
			await listening?.close();
			throw fault;
		}
	}

	static async #read(deps: RelayRoomDeps, options: RelayRoomOptions): Promise<RelayRoom> {
		const head = await deps.log.head(options.room);
		const coverage = await readCoverage(deps.log, options.room, head);
		if (coverage !== null) return new RelayRoom(deps, options, head, coverage);
		const now = await deps.log.head(options.room);
		if (now.snapshot?.upto === head.snapshot?.upto) {
			throw new Error(`updates between ${head.snapshot?.upto ?? 0} and ${head.head} are missing`);
		}
		// A compaction begun before it was closed ended just now.
		return RelayRoom.#read(deps, options);
	}

	/** For the exchange. */
	get notes(): RoomListener {
		return {
			heard: (relay, note) => this.#heard(relay, note),
			relayGone: (relay) => this.#step((now) => this.#machine.relayGone(relay, now)),
		};
	}

	get keepsUpdates(): boolean {
		return this.#keepsUpdates;
	}

	get head(): number {
		return this.#machine.head;
	}

	get size(): number {
		return this.#machine.size;
	}

	get idle(): boolean {
		return this.#machine.idle;
	}

	get ended(): boolean {
		return this.#ended;
	}

	presence(): AwarenessEntry[] {
		return this.#machine.awareness.entries();
	}

	/** What must outlive this room's memory for a socket that does (S22). */
	standingOf(id: SocketId): MemberStanding | null {
		return this.#machine.standingOf(id);
	}

	join(id: SocketId, socket: SyncSocket, who: MemberOptions, standing?: MemberStanding): void {
		this.#sockets.set(id, socket);
		socket.onMessage((message) => this.#step((now) => this.#machine.receive(id, message, now)));
		socket.onDrain(() => this.#step((now) => this.#machine.drained(id, now)));
		socket.onClose((clean) => {
			this.#sockets.delete(id);
			this.#asked.delete(id);
			this.#step((now) => this.#machine.leave(id, clean, now));
			if (this.#machine.idle) this.#deps.onIdle(this);
		});
		this.#step((now) => this.#machine.join(id, who, now, standing));
	}

	/** An update of the server's own (a restore): from no socket, to all. @returns why it is refused, or null. */
	insert(update: Uint8Array, owner: string): string | null {
		let refused: string | null = null;
		this.#step(() => {
			refused = this.#machine.insert(update, owner);
		});
		return refused;
	}

	committed(updates: readonly LoggedUpdate[]): void {
		if (this.#shared === null) this.#arrived(updates, true);
		else this.#shared.committed(updates);
		this.#deps.onCommitted(this);
		if (this.#machine.idle) this.#deps.onIdle(this);
	}

	/** The log reaches so far: other relays may have written. */
	seen(head: number): void {
		this.#shared?.seen(head);
	}

	/** What other relays have written until now is known here when this resolves. @throws WarrenError when the log does not answer. */
	async refresh(): Promise<void> {
		if (this.#shared === null || !this.#keepsUpdates) return;
		const head = (await this.#deps.log.heads([this.room])).get(this.room) ?? 0;
		await this.#shared.reach(head);
	}

	/** Asks the other relays who is present there, and tells them who is here. */
	hello(): void {
		this.#shared?.tell({ type: "hello" });
		this.#tellPresent();
	}

	rejected(pending: readonly PendingUpdate[], message: string): void {
		this.#step((now) => this.#machine.rejected(pending, message, now));
		// What it believes to hold is not what the log holds: the next joiner opens it anew.
		this.end(closeCodes.unavailable, "store_failed", message);
	}

	/** Nobody needs it any more: nothing is heard of it from now on. */
	forgotten(): void {
		this.#timer?.cancel();
		this.#shared?.close();
		void this.#listening?.close();
	}

	/** Closes every socket; the room takes nothing any more. */
	end(code: number, error: string, message: string): void {
		this.#ended = true;
		this.forgotten();
		this.#timer?.cancel();
		for (const socket of this.#sockets.values()) socket.close(code, error, message);
		this.#sockets.clear();
		this.#asked.clear();
		this.#deps.onIdle(this);
	}

	/** Nobody is here now: what can be read again is let go. */
	rest(): void {
		this.#recent.clear();
		this.#firstSync.forget();
	}

	#share(exchange: RoomExchange, head: number): SharedRoom {
		return new SharedRoom(
			{
				exchange,
				log: this.#deps.log,
				logger: this.#deps.logger,
				committed: () => this.#deps.committer.settled(),
				onUpdates: (updates) => {
					for (const run of runsBySource(updates)) this.#arrived(run.updates, run.own);
				},
				onBroken: (message) => this.end(closeCodes.unavailable, "behind", message),
			},
			this.room,
			head,
		);
	}

	/** The next in the log. @param own whether sockets here sent them. */
	#arrived(updates: readonly LoggedUpdate[], own: boolean): void {
		if (this.#ended) return;
		this.#recent.add(updates);
		this.tail.count += updates.length;
		for (const { update } of updates) this.tail.bytes += update.length;
		let fault: string | null = null;
		this.#step((now) => {
			if (own) this.#machine.committed(updates, now);
			else fault = this.#machine.foreign(updates, now);
		});
		if (fault !== null) this.#deps.onDamaged(this, new Error(fault));
	}

	#heard(relay: SocketId, note: RoomNote): void {
		if (this.#ended) return;
		switch (note.type) {
			case "updates":
				return this.#shared?.heard(note);
			case "presence":
				return this.#step((now) => this.#machine.present(relay, note.entries, now));
			case "hello":
				return this.#tellPresent();
			case "compacted":
				this.snapshotBytes = note.snapshotBytes;
				this.tail = { count: Math.max(0, this.head - note.upto), bytes: 0 };
				return;
			case "ended":
				return this.end(note.code, note.error, note.message);
			default:
				unreachable(note);
		}
	}

	#tellPresent(): void {
		this.#tellPresence(this.#machine.awareness.entriesHere());
	}

	#tellPresence(entries: readonly OwnedEntry[]): void {
		for (const note of presenceNotes(entries)) this.#shared?.tell(note);
	}

	#step(act: (now: number) => void): void {
		if (this.#ended) return;
		act(this.#deps.clock.monotonic());
		for (let effects = this.#machine.drain(); effects.length > 0; effects = this.#machine.drain()) {
			for (const effect of effects) this.#perform(effect);
		}
		this.#arm();
	}

	#perform(effect: RoomEffect): void {
		switch (effect.type) {
			case "append":
				return this.#deps.committer.add(this, effect.pending);
			case "send": {
				const outgoing = new Outgoing([effect.message]);
				for (const id of effect.to) this.#sockets.get(id)?.send(outgoing);
				return;
			}
			case "deliver":
				return this.#deliver(effect.to, effect.updates);
			case "plan":
				return this.#plan(effect.socket, effect.clocks);
			case "catch-up":
				void this.#catchUp(effect.socket, effect.after);
				return;
			case "close": {
				const socket = this.#sockets.get(effect.socket);
				this.#sockets.delete(effect.socket);
				this.#asked.delete(effect.socket);
				socket?.close(effect.code, effect.error, effect.message);
				return;
			}
			case "tell-presence":
				return this.#tellPresence(effect.entries);
			case "presence":
				return this.#deps.onPresence(this);
			default:
				unreachable(effect);
		}
	}

	#deliver(to: readonly SocketId[], updates: readonly LoggedUpdate[]): void {
		const everything = new Outgoing(
			updates.map((each) => encodeUpdate(each.update)),
			{ ofDocument: true },
		);
		const senders = new Set(updates.map((each) => each.socket));
		const before = (updates[0]?.seq ?? 1) - 1;
		const now = this.#deps.clock.monotonic();
		for (const id of to) {
			const socket = this.#sockets.get(id);
			if (socket === undefined) continue;
			if (socket.isBlocked) {
				this.#blocked(id, socket, before, now);
				continue;
			}
			const theirs = senders.has(id) ? everything.without((index) => updates[index]?.socket === id) : everything;
			if (theirs !== null && !socket.send(theirs)) this.#blocked(id, socket, this.#machine.head, now);
		}
	}

	#blocked(id: SocketId, socket: SyncSocket, after: number, now: number): void {
		this.#machine.blocked(id, after, now);
		this.#machine.taken(id, socket.takenBytes, now);
	}

	#plan(id: SocketId, clocks: ReadonlyMap<number, number>): void {
		const socket = this.#sockets.get(id);
		if (socket === undefined) return;
		const waits = this.#asked.has(id);
		this.#asked.set(id, clocks);
		if (!waits) socket.inTurn(() => this.#planInTurn(id));
		if (!socket.isBlocked) return;
		const now = this.#deps.clock.monotonic();
		this.#machine.waits(id, now);
		this.#machine.taken(id, socket.takenBytes, now);
	}

	/** One after another: they share the tail, and the second finds what the first prepared. */
	#planInTurn(id: SocketId): Promise<void> {
		this.#planning = this.#planning
			.then(() => this.#planNow(id))
			.catch((fault: unknown) => this.#deps.onDamaged(this, fault));
		return this.#planning;
	}

	async #planNow(id: SocketId): Promise<void> {
		const clocks = this.#asked.get(id);
		this.#asked.delete(id);
		if (clocks === undefined) return;
		const plan = await this.#firstSync.plan(clocks);
		const socket = this.#sockets.get(id);
		// The plan may reach beyond what was heard: what it holds must not be sent twice.
		await this.#shared?.reach(plan.upto);
		if (socket === undefined || this.#ended || !this.#sockets.has(id)) return;
		for (const outgoing of plan.outgoing) socket.send(outgoing);
		this.#step((now) => this.#machine.planned(id, plan.upto, now));
	}

	async #catchUp(id: SocketId, after: number): Promise<void> {
		const socket = this.#sockets.get(id);
		if (socket === undefined) return;
		let upto = after;
		if (!socket.isBlocked) {
			const recent = this.#recent.after(after);
			const updates: readonly LoggedUpdate[] =
				recent ??
				(await this.#deps.log.read(this.room, after, relayLimits.readAheadBytes)).map((each) => ({
					...each,
					socket: null,
				}));
			// Compacted away while it waited: it starts over from the snapshot.
			if (updates[0]?.seq !== after + 1) return this.#plan(id, new Map());
			const foreign = updates.filter((each) => each.socket !== id);
			const messages = foreign.map((each) => encodeUpdate(each.update));
			if (foreign.length > 0) socket.send(new Outgoing(messages, { ofDocument: true }));
			upto = updates.at(-1)?.seq ?? after;
		}
		// Room for more, or all was sent: the machine goes on; else the next drain does.
		const blocked = socket.isBlocked;
		this.#step((now) => {
			this.#machine.caughtUp(id, upto, blocked, now);
			if (blocked) this.#machine.taken(id, socket.takenBytes, now);
		});
	}

	#arm(): void {
		const next = this.#machine.nextDeadline() ?? Number.POSITIVE_INFINITY;
		if (next === this.#timerAt) return;
		this.#timer?.cancel();
		this.#timerAt = next;
		if (next === Number.POSITIVE_INFINITY) return;
		const delayMs = Math.max(0, next - this.#deps.clock.monotonic());
		this.#timer = this.#deps.clock.after(delayMs, () => {
			this.#timerAt = Number.POSITIVE_INFINITY;
			this.#step((now) => {
				for (const id of this.#machine.slow()) this.#machine.taken(id, this.#sockets.get(id)?.takenBytes ?? 0, now);
				this.#machine.handleTimeout(now);
			});
			if (this.#machine.idle) this.#deps.onIdle(this);
		});
	}
}

/** What is heard of a room while it is being opened. */
class EarlyNotes implements RoomListener {
	#early: [SocketId, RoomNote][] | null = [];
	#room: RelayRoom | undefined;

	heard(relay: SocketId, note: RoomNote): void {
		if (this.#early === null) this.#room?.notes.heard(relay, note);
		// What does not fit is found in the log.
		else if (this.#early.length < maxEarlyNotes) this.#early.push([relay, note]);
	}

	relayGone(relay: SocketId): void {
		this.#room?.notes.relayGone(relay);
	}

	passOn(room: RelayRoom): void {
		this.#room = room;
		const early = this.#early ?? [];
		this.#early = null;
		for (const [relay, note] of early) room.notes.heard(relay, note);
	}
}

const maxEarlyNotes = 1_000;

/** Null when updates are missing. @throws Error naming the update that cannot be read. */
async function readCoverage(log: UpdateLog, room: string, head: RoomHead): Promise<Coverage | null> {
	const coverage = head.snapshot === null ? new Coverage() : Coverage.decode(head.snapshot.coverage);
	for (let after = head.snapshot?.upto ?? 0; after < head.head; ) {
		const updates = await log.read(room, after, relayLimits.readAheadBytes);
		if (updates[0]?.seq !== after + 1) return null;
		for (const { seq, update } of updates) {
			const reading = readUpdate(update);
			if (!reading.ok) throw new Error(`update ${seq}: ${reading.message}`);
			coverage.add(reading.facts);
			after = seq;
		}
	}
	return coverage;
}
