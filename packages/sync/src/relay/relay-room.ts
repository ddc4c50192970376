import { type Clock, closeCodes, type Logger, type Timer, unreachable } from "@warren/kernel";
import type { RoomHead, UpdateLog } from "../log/update-log.ts";
import {
	type AwarenessEntry,
	Coverage,
	encodeUpdate,
	type LoggedUpdate,
	type MemberOptions,
	type PendingUpdate,
	type RoomEffect,
	RoomMachine,
	readUpdate,
	type SocketId,
	type syncLimits,
} from "../protocol/index.ts";
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
}

export interface RelayRoomOptions {
	readonly room: string;
	readonly keepsUpdates: boolean;
	readonly limits?: Partial<typeof syncLimits>;
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
	#timer: Timer | undefined;
	#timerAt = Number.POSITIVE_INFINITY;
	#ended = false;

	private constructor(deps: RelayRoomDeps, options: RelayRoomOptions, head: RoomHead, coverage: Coverage) {
		this.#deps = deps;
		this.room = options.room;
		this.tail = { ...head.tail };
		this.snapshotBytes = head.snapshot?.bytes ?? 0;
		this.#machine = new RoomMachine({
			head: head.head,
			coverage,
			keepsUpdates: options.keepsUpdates,
			storedBytes: head.tail.bytes + (head.snapshot?.bytes ?? 0),
			limits: options.limits ?? {},
		});
		this.#firstSync = new FirstSync(deps, options.room);
	}

	/** Reads what the log covers; no document is built. @throws Error when the log holds what cannot be read. */
	static async open(deps: RelayRoomDeps, options: RelayRoomOptions): Promise<RelayRoom> {
		const head = await deps.log.head(options.room);
		const coverage = await readCoverage(deps.log, options.room, head);
		if (coverage !== null) return new RelayRoom(deps, options, head, coverage);
		const now = await deps.log.head(options.room);
		if (now.snapshot?.upto === head.snapshot?.upto) {
			throw new Error(`updates between ${head.snapshot?.upto ?? 0} and ${head.head} are missing`);
		}
		// A compaction begun before it was closed ended just now.
		return RelayRoom.open(deps, options);
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

	join(id: SocketId, socket: SyncSocket, who: MemberOptions): void {
		this.#sockets.set(id, socket);
		socket.onMessage((message) => this.#step((now) => this.#machine.receive(id, message, now)));
		socket.onDrain(() => this.#step((now) => this.#machine.drained(id, now)));
		socket.onClose((clean) => {
			this.#sockets.delete(id);
			this.#step((now) => this.#machine.leave(id, clean, now));
			if (this.#machine.idle) this.#deps.onIdle(this);
		});
		this.#step((now) => this.#machine.join(id, who, now));
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
		this.#recent.add(updates);
		this.tail.count += updates.length;
		for (const { update } of updates) this.tail.bytes += update.length;
		this.#step((now) => this.#machine.committed(updates, now));
		this.#deps.onCommitted(this);
		if (this.#machine.idle) this.#deps.onIdle(this);
	}

	rejected(pending: readonly PendingUpdate[], message: string): void {
		this.#step((now) => this.#machine.rejected(pending, message, now));
		// What it believes to hold is not what the log holds: the next joiner opens it anew.
		this.end(closeCodes.unavailable, "store_failed", message);
	}

	/** Closes every socket; the room takes nothing any more. */
	end(code: number, error: string, message: string): void {
		this.#ended = true;
		this.#timer?.cancel();
		for (const socket of this.#sockets.values()) socket.close(code, error, message);
		this.#sockets.clear();
		this.#deps.onIdle(this);
	}

	/** Nobody is here now: what can be read again is let go. */
	rest(): void {
		this.#recent.clear();
		this.#firstSync.forget();
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
				socket?.close(effect.code, effect.error, effect.message);
				return;
			}
			case "presence":
				return this.#deps.onPresence(this);
			default:
				unreachable(effect);
		}
	}

	#deliver(to: readonly SocketId[], updates: readonly LoggedUpdate[]): void {
		const everything = new Outgoing(updates.map((each) => encodeUpdate(each.update)));
		const senders = new Set(updates.map((each) => each.socket));
		const before = (updates[0]?.seq ?? 1) - 1;
		const now = this.#deps.clock.monotonic();
		for (const id of to) {
			const socket = this.#sockets.get(id);
			if (socket === undefined) continue;
			if (socket.isBlocked) {
				this.#machine.blocked(id, before, now);
				continue;
			}
			if (!senders.has(id)) socket.send(everything);
			else {
				const others = everything.messages.filter((_, index) => updates[index]?.socket !== id);
				if (others.length > 0) socket.send(new Outgoing(others));
			}
			if (socket.isBlocked) this.#machine.blocked(id, this.#machine.head, now);
		}
	}

	/** One after another: they share the tail, and the second finds what the first prepared. */
	#plan(id: SocketId, clocks: ReadonlyMap<number, number>): void {
		this.#planning = this.#planning
			.then(() => this.#planNow(id, clocks))
			.catch((fault: unknown) => this.#deps.onDamaged(this, fault));
	}

	async #planNow(id: SocketId, clocks: ReadonlyMap<number, number>): Promise<void> {
		const plan = await this.#firstSync.plan(clocks);
		const socket = this.#sockets.get(id);
		if (socket === undefined || this.#ended) return;
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
			if (foreign.length > 0) socket.send(new Outgoing(foreign.map((each) => encodeUpdate(each.update))));
			upto = updates.at(-1)?.seq ?? after;
		}
		// Room for more, or all was sent: the machine goes on; else the next drain does.
		const blocked = socket.isBlocked;
		this.#step((now) => this.#machine.caughtUp(id, upto, blocked, now));
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
			this.#step((now) => this.#machine.handleTimeout(now));
			if (this.#machine.idle) this.#deps.onIdle(this);
		});
	}
}

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
