import { closeCodes, RateLimit, unreachable } from "@warren/kernel";
import { AwarenessTable, readAwareness } from "./awareness.ts";
import { type Coverage, readStateVector } from "./coverage.ts";
import {
	type ClientFrame,
	decodeFrame,
	encodeAwareness,
	encodeDurable,
	encodePermissionDenied,
	encodeQueryAwareness,
	encodeStep1,
} from "./frames.ts";
import { syncLimits } from "./limits.ts";
import type {
	LoggedUpdate,
	MemberOptions,
	MemberStanding,
	PendingUpdate,
	RoomEffect,
	RoomMachineOptions,
	SocketId,
} from "./room-effects.ts";
import { type Member, type Progress, slowSince } from "./room-member.ts";
import type { OwnedEntry } from "./room-notes.ts";
import { readUpdate, type UpdateFacts } from "./update-facts.ts";

/**
 * One room, without I/O: takes messages and `now` (milliseconds, monotonic), gives effects (`drain`) and its next
 * deadline. Rules: SPEC.md.
 */
export class RoomMachine {
	readonly #limits: typeof syncLimits;
	readonly #coverage: Coverage;
	readonly #keepsUpdates: boolean;
	readonly #shared: boolean;
	readonly #awareness: AwarenessTable;
	readonly #members = new Map<SocketId, Member>();
	/** Those of them with a deadline: few, while a room is busy. */
	readonly #timed = new Set<Member>();
	readonly #messages: RateLimit;
	readonly #bytes: RateLimit;
	#uncommittedBytes = 0;
	#storedBytes: number;
	#head: number;
	#now = 0;
	#awarenessSentAt = Number.NEGATIVE_INFINITY;
	#effects: RoomEffect[] = [];

	constructor(options: RoomMachineOptions) {
		this.#limits = { ...syncLimits, ...options.limits } as typeof syncLimits;
		this.#coverage = options.coverage;
		this.#keepsUpdates = options.keepsUpdates;
		this.#shared = options.shared ?? false;
		this.#head = options.head;
		this.#storedBytes = options.storedBytes;
		this.#awareness = new AwarenessTable(this.#limits);
		const clock = { now: () => this.#now, monotonic: () => this.#now, after: () => ({ cancel() {} }) };
		const maxKeys = this.#limits.maxRoomSockets;
		const { messagesPerSecond, messageBurst, bytesPerSecond, byteBurst } = this.#limits;
		this.#messages = new RateLimit(clock, { perSecond: messagesPerSecond, burst: messageBurst, maxKeys });
		this.#bytes = new RateLimit(clock, { perSecond: bytesPerSecond, burst: byteBurst, maxKeys });
	}

	get head(): number {
		return this.#head;
	}

	get size(): number {
		return this.#members.size;
	}

	get awareness(): AwarenessTable {
		return this.#awareness;
	}

	get coverage(): Coverage {
		return this.#coverage;
	}

	/** Nobody is here and nothing waits: the room may be forgotten. */
	get idle(): boolean {
		return this.#members.size === 0 && this.#uncommittedBytes === 0 && this.#awareness.sizeHere === 0;
	}

	/**
	 * Asks the socket what it has (unless it may only read) and tells it who is here.
	 * @param standing of a socket that is not new (S22): it is asked and told nothing.
	 */
	join(socket: SocketId, who: MemberOptions, now: number, standing?: MemberStanding): void {
		this.#now = now;
		const member: Member = {
			socket,
			who,
			joinedAt: now,
			progress: { at: "new" },
			received: standing?.received ?? 0,
			durable: standing?.received ?? 0,
			deniedAt: Number.NEGATIVE_INFINITY,
			takenBytes: 0,
			toldAt: Number.NEGATIVE_INFINITY,
		};
		this.#members.set(socket, member);
		this.#timed.add(member);
		if (this.#members.size > this.#limits.maxRoomSockets) {
			this.#close(member, closeCodes.unavailable, "too_many", `${this.#limits.maxRoomSockets} are here already`);
			return;
		}
		if (standing !== undefined) return this.#resume(member, standing);
		if (who.access === "read-write") this.#send([socket], encodeStep1(this.#coverage.stateVector()));
		this.#sendAwarenessTo(member);
	}

	/** Null when it is not here. Exact once everything that it sent is on disk. */
	standingOf(socket: SocketId): MemberStanding | null {
		const member = this.#members.get(socket);
		if (member === undefined) return null;
		const { at } = member.progress;
		const progress = at === "new" || at === "live" ? at : "behind";
		return { progress, received: member.durable, entries: this.#awareness.entriesOf(socket) };
	}

	/** @param clean it said goodbye, rather than being cut. */
	leave(socket: SocketId, clean: boolean, now: number): void {
		this.#now = now;
		const member = this.#members.get(socket);
		if (member !== undefined) this.#forget(member);
		this.#awareness.socketClosed(socket, clean, now);
		this.#flushAwareness(now);
	}

	receive(socket: SocketId, message: Uint8Array, now: number): void {
		this.#now = now;
		const member = this.#members.get(socket);
		if (member === undefined) return;
		if (this.#messages.take(`${socket}`) > 0 || this.#bytes.take(`${socket}`, message.length) > 0) {
			this.#close(member, closeCodes.unavailable, "too_many", "messages come faster than this room takes them");
			return;
		}
		const frame = decodeFrame(message);
		if (frame.type === "error") this.#refuse(member, frame.message);
		else this.#handle(member, frame, now);
	}

	/** An update of the server's own. @returns why it is refused, or null. */
	insert(update: Uint8Array, owner: string): string | null {
		const reading = readUpdate(update);
		if (!reading.ok) return reading.message;
		if (isEmpty(reading.facts) || this.#coverage.covers(reading.facts)) return null;
		this.#uncommittedBytes += update.length;
		this.#coverage.add(reading.facts);
		this.#effects.push({ type: "append", pending: { socket: noSocket, owner, update } });
		return null;
	}

	/** The oldest pending updates are on disk with these numbers: only now does anybody hear of them. */
	committed(updates: readonly LoggedUpdate[], now: number): void {
		this.#now = now;
		for (const { update, seq } of updates) {
			this.#uncommittedBytes -= update.length;
			this.#storedBytes += update.length;
			this.#head = seq;
		}
		const live = [...this.#members.values()].filter((member) => member.progress.at === "live");
		if (live.length > 0) this.#effects.push({ type: "deliver", to: live.map((member) => member.socket), updates });
		this.#acknowledge(updates);
		for (const member of this.#timed) this.#continue(member);
	}

	/** Other relays' updates, on disk, which come next in the log. @returns what is wrong with one, or null. */
	foreign(updates: readonly LoggedUpdate[], now: number): string | null {
		this.#now = now;
		for (const { update, seq } of updates) {
			const reading = readUpdate(update);
			if (!reading.ok) return `update ${seq}: ${reading.message}`;
			this.#coverage.add(reading.facts);
			this.#storedBytes += update.length;
			this.#head = seq;
		}
		const live = [...this.#members.values()].filter((member) => member.progress.at === "live");
		if (live.length > 0) this.#effects.push({ type: "deliver", to: live.map((member) => member.socket), updates });
		for (const member of this.#timed) this.#continue(member);
		return null;
	}

	/** Who is present at another relay. @param relay negative; it stands for all of that relay's sockets. */
	present(relay: SocketId, entries: readonly OwnedEntry[], now: number): void {
		this.#now = now;
		this.#awareness.receiveFrom(relay, entries, now);
		this.#flushAwareness(now);
	}

	/** Another relay says nothing any more: whom it spoke for has a moment to come here. */
	relayGone(relay: SocketId, now: number): void {
		this.#now = now;
		this.#awareness.socketClosed(relay, false, now);
	}

	/** These could not be written (a full disk): their senders come back and offer them again. */
	rejected(pending: readonly PendingUpdate[], message: string, now: number): void {
		this.#now = now;
		for (const each of pending) this.#uncommittedBytes -= each.update.length;
		for (const member of this.#members.values()) this.#close(member, closeCodes.unavailable, "store_failed", message);
	}

	/** What the plan for this socket holds reaches up to `upto`. */
	planned(socket: SocketId, upto: number, now: number): void {
		const member = this.#members.get(socket);
		if (member?.progress.at !== "planning" && member?.progress.at !== "behind") return;
		this.#move(member, { at: "behind", after: upto, since: now, reading: false });
		this.#continue(member);
	}

	/** The log up to `upto` was sent. @param blocked the buffer is full: wait for `drained`. */
	caughtUp(socket: SocketId, upto: number, blocked: boolean, now: number): void {
		const member = this.#members.get(socket);
		if (member?.progress.at !== "behind") return;
		// A full buffer that took something is no stall.
		const since = upto > member.progress.after ? now : member.progress.since;
		this.#move(member, { at: "behind", after: upto, since, reading: blocked });
		if (!blocked) this.#continue(member);
	}

	/** Too much waits for this reader, who has everything up to `after`: it goes on from the log when it has drained. */
	blocked(socket: SocketId, after: number, now: number): void {
		const member = this.#members.get(socket);
		if (member?.progress.at === "live") this.#move(member, { at: "behind", after, since: now, reading: true });
	}

	/** Its first sync waits until what was sent before has been read. */
	waits(socket: SocketId, now: number): void {
		const member = this.#members.get(socket);
		if (member?.progress.at === "planning" && member.progress.since === null)
			this.#move(member, { at: "planning", since: now });
	}

	/** Those that will be closed unless their readers take something. */
	slow(): SocketId[] {
		return [...this.#timed].filter((member) => slowSince(member) !== null).map((member) => member.socket);
	}

	/** @param bytes that its reader has taken so far: while they grow, it is slow and not stalled. */
	taken(socket: SocketId, bytes: number, now: number): void {
		const member = this.#members.get(socket);
		if (member === undefined || member.takenBytes === bytes) return;
		member.takenBytes = bytes;
		const { progress } = member;
		if (progress.at !== "new" && progress.at !== "live" && slowSince(member) !== null)
			this.#move(member, { ...progress, since: now });
	}

	drained(socket: SocketId, now: number): void {
		const member = this.#members.get(socket);
		if (member?.progress.at === "planning") this.#move(member, { at: "planning", since: null });
		if (member?.progress.at !== "behind" || !member.progress.reading) return;
		this.#move(member, { ...member.progress, since: now, reading: false });
		this.#continue(member);
	}

	/** Fires what is due. */
	handleTimeout(now: number): void {
		this.#now = now;
		this.#awareness.expire(now);
		for (const member of this.#timed) {
			const { progress } = member;
			const since = slowSince(member);
			if (progress.at === "new" && member.joinedAt + this.#limits.firstMessageMs <= now) {
				const message = `no sync step 1 came within ${this.#limits.firstMessageMs} ms`;
				this.#close(member, closeCodes.badRequest, "bad_request", message);
			} else if (since !== null && since + this.#limits.stalledMs <= now) {
				const message = `too slow: nothing was read for ${this.#limits.stalledMs} ms`;
				this.#close(member, closeCodes.tooSlow, "too_slow", message);
			}
		}
		this.#flushAwareness(now);
	}

	nextDeadline(): number | null {
		let next = this.#awareness.nextExpiry() ?? Number.POSITIVE_INFINITY;
		if (this.#awareness.hasChanges) next = Math.min(next, this.#awarenessSentAt + this.#limits.awarenessWindowMs);
		for (const member of this.#timed) {
			if (member.progress.at === "new") next = Math.min(next, member.joinedAt + this.#limits.firstMessageMs);
			const since = slowSince(member);
			if (since !== null) next = Math.min(next, since + this.#limits.stalledMs);
		}
		return next === Number.POSITIVE_INFINITY ? null : next;
	}

	drain(): RoomEffect[] {
		const effects = this.#effects;
		this.#effects = [];
		return effects;
	}

	#resume(member: Member, { progress, entries }: MemberStanding): void {
		if (progress === "live") member.progress = { at: "live" };
		if (progress === "behind") {
			member.progress = { at: "planning", since: null };
			this.#effects.push({ type: "plan", socket: member.socket, clocks: new Map() });
		}
		// Stamped when they came; and everybody has them.
		const { owner, maxClients } = member.who;
		this.#awareness.receive(member.socket, owner, entries, this.#now, { maxClients });
		this.#awareness.takeChanges();
	}

	#handle(member: Member, frame: ClientFrame, now: number): void {
		switch (frame.type) {
			case "step1": {
				const clocks = readStateVector(frame.stateVector);
				if (typeof clocks === "string") return this.#refuse(member, clocks);
				// Asking again is no reading.
				if (member.progress.at !== "planning") this.#move(member, { at: "planning", since: null });
				this.#effects.push({ type: "plan", socket: member.socket, clocks });
				return;
			}
			case "update":
				return this.#update(member, frame.update, now);
			case "awareness": {
				const entries = readAwareness(frame.payload, this.#limits);
				if (typeof entries === "string") return this.#refuse(member, entries);
				const { owner, maxClients, stamp } = member.who;
				const options = stamp === undefined ? { maxClients } : { maxClients, stamp };
				this.#awareness.receive(member.socket, owner, entries, now, options);
				this.#flushAwareness(now);
				return;
			}
			case "query-awareness":
				// Who was told a moment ago hears what has changed since anyway.
				if (member.toldAt + this.#limits.awarenessWindowMs <= now) this.#sendAwarenessTo(member);
				return;
			// A link to another relay hears these from it.
			case "auth":
			case "durable":
				return;
			default:
				unreachable(frame);
		}
	}

	#update(member: Member, update: Uint8Array, now: number): void {
		const reading = readUpdate(update, this.#limits.maxRanges);
		if (!reading.ok) return this.#refuse(member, reading.message);
		const { facts } = reading;
		const writes = member.who.access === "read-write" && this.#keepsUpdates;
		if (isEmpty(facts) || this.#coverage.covers(facts)) return writes ? this.#alreadyHeld(member) : undefined;
		if (!writes) return this.#deny(member, now);
		const refused = this.#coverage.refuses(facts, this.#limits);
		if (refused !== null) return this.#refuse(member, refused);
		if (this.#coverage.rangesWith(facts) > this.#limits.maxRanges) {
			const message = `this document is in ${this.#limits.maxRanges} pieces`;
			return this.#close(member, closeCodes.forbidden, "room_full", message);
		}
		if (this.#storedBytes + this.#uncommittedBytes + update.length > this.#limits.maxRoomBytes) {
			const message = `this document has reached ${this.#limits.maxRoomBytes} bytes`;
			return this.#close(member, closeCodes.forbidden, "room_full", message);
		}
		if (this.#uncommittedBytes + update.length > this.#limits.maxUncommittedBytes) {
			return this.#close(member, closeCodes.unavailable, "overloaded", "too much waits for the disk");
		}
		member.received += 1;
		this.#uncommittedBytes += update.length;
		this.#coverage.add(facts);
		// The message's buffer is only ours during the call.
		const pending = { socket: member.socket, owner: member.who.owner, update: update.slice() };
		this.#effects.push({ type: "append", pending });
	}

	/** Held, but perhaps not on disk yet: then its acknowledgement waits for what was received before it. */
	#alreadyHeld(member: Member): void {
		member.received += 1;
		if (this.#uncommittedBytes > 0) return;
		member.durable = member.received;
		if (member.who.acknowledges) this.#send([member.socket], encodeDurable(member.durable));
	}

	#acknowledge(updates: readonly LoggedUpdate[]): void {
		const everything = this.#uncommittedBytes === 0;
		const senders = new Set(updates.map((each) => each.socket));
		for (const member of this.#members.values()) {
			if (!member.who.acknowledges || member.durable === member.received) continue;
			if (everything) member.durable = member.received;
			else if (senders.has(member.socket)) {
				member.durable += updates.filter((each) => each.socket === member.socket).length;
			} else continue;
			this.#send([member.socket], encodeDurable(member.durable));
		}
	}

	/** Moves a socket that is behind: to live when nothing is missing, else to its next part of the log. */
	#continue(member: Member): void {
		const { progress } = member;
		if (progress.at !== "behind" || progress.reading) return;
		if (progress.after >= this.#head) {
			this.#move(member, { at: "live" });
			return;
		}
		this.#move(member, { ...progress, reading: true });
		this.#effects.push({ type: "catch-up", socket: member.socket, after: progress.after });
	}

	#move(member: Member, progress: Progress): void {
		member.progress = progress;
		if (progress.at === "behind" || (progress.at === "planning" && progress.since !== null)) this.#timed.add(member);
		else this.#timed.delete(member);
	}

	#forget(member: Member): void {
		this.#members.delete(member.socket);
		this.#timed.delete(member);
	}

	#flushAwareness(now: number): void {
		if (!this.#awareness.hasChanges || this.#awarenessSentAt + this.#limits.awarenessWindowMs > now) return;
		const payloads = this.#awareness.takeChanges();
		if (this.#shared) this.#tellPresence();
		if (payloads.length === 0) return;
		this.#awarenessSentAt = now;
		this.#effects.push({ type: "presence" });
		if (this.#members.size === 0) return;
		const everybody = [...this.#members.keys()];
		for (const payload of payloads) this.#send(everybody, encodeAwareness(payload));
	}

	/**
	 * To the other relays; and whoever left one of them, and was refused here because it still spoke for them, is asked
	 * again: a stock client says who it is once, and then only every 15 s.
	 */
	#tellPresence(): void {
		const entries = this.#awareness.takeChangesHere();
		if (entries.length > 0) this.#effects.push({ type: "tell-presence", entries });
		const vacated = this.#awareness.takeVacated();
		if (vacated.size === 0) return;
		const silent = [...this.#members.values()].filter(
			(member) => vacated.has(member.who.owner) && !this.#awareness.speaks(member.socket),
		);
		if (silent.length === 0) return;
		const to = silent.map((member) => member.socket);
		this.#effects.push({ type: "send", to, message: encodeQueryAwareness() });
	}

	#sendAwarenessTo(member: Member): void {
		member.toldAt = this.#now;
		for (const payload of this.#awareness.encodeAll()) this.#send([member.socket], encodeAwareness(payload));
	}

	/** Said once a second, so that a writer who may not is told and not flooded. */
	#deny(member: Member, now: number): void {
		if (member.deniedAt + 1_000 > now) return;
		member.deniedAt = now;
		const reason = this.#keepsUpdates
			? "You may read this document, not change it."
			: "This room keeps presence alone.";
		this.#send([member.socket], encodePermissionDenied(reason));
	}

	#refuse(member: Member, message: string): void {
		this.#close(member, closeCodes.badRequest, "bad_request", message);
	}

	#close(member: Member, code: number, error: string, message: string): void {
		this.#forget(member);
		this.#awareness.socketClosed(member.socket, true, this.#now);
		this.#effects.push({ type: "close", socket: member.socket, code, error, message });
		this.#flushAwareness(this.#now);
	}

	#send(to: readonly SocketId[], message: Uint8Array): void {
		this.#effects.push({ type: "send", to, message });
	}
}

/** Stands for the server itself; sockets count from 1. */
const noSocket: SocketId = 0;

function isEmpty(facts: UpdateFacts): boolean {
	return facts.structs.size === 0 && facts.deletes.size === 0;
}
