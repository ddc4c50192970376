import { inParts } from "./in-parts.ts";
import { syncLimits } from "./limits.ts";
import { Malformed, Reader } from "./reader.ts";
import type { OwnedEntry } from "./room-notes.ts";
import { Writer } from "./writer.ts";

/** One client in an awareness message. `state` is its JSON as it came, unread; null = gone. */
export interface AwarenessEntry {
	readonly client: number;
	readonly clock: number;
	readonly state: string | null;
}

/** @returns the entries, or why the payload is none. States are checked to be JSON: one that is not would make every reader throw. */
export function readAwareness(payload: Uint8Array, limits = syncLimits): AwarenessEntry[] | string {
	const reader = new Reader(payload);
	try {
		const count = reader.varUint();
		if (count > limits.maxAwarenessEntries)
			return `an awareness message with ${count} clients; ${limits.maxAwarenessEntries} is the most`;
		const entries: AwarenessEntry[] = [];
		for (let i = 0; i < count; i++) {
			const client = reader.varUint();
			const clock = reader.varUint();
			const text = reader.varString();
			if (text.length > limits.maxAwarenessStateBytes)
				return `an awareness state of ${text.length} characters; ${limits.maxAwarenessStateBytes} is the most`;
			if (!isJson(text)) return "an awareness state that is not JSON";
			entries.push({ client, clock, state: text === "null" ? null : text });
		}
		reader.end();
		return entries;
	} catch (thrown) {
		if (thrown instanceof Malformed) return `the awareness message is malformed: ${thrown.message}`;
		throw thrown;
	}
}

/** What an entry takes in a message, at most. */
export function entryBytes({ state }: AwarenessEntry): number {
	return maxEntryHeadBytes + Buffer.byteLength(state ?? "null");
}

/** Client, clock and the state's length, of eight bytes at most each. */
const maxEntryHeadBytes = 24;

/** As many payloads as it takes: what is longer than one may be, readers of this protocol refuse. */
function encodeInMessages(entries: readonly AwarenessEntry[], limits: typeof syncLimits): Uint8Array[] {
	const most = { bytes: limits.maxAwarenessBytes - maxEntryHeadBytes, entries: limits.maxAwarenessEntries };
	return inParts(entries, entryBytes, most).map(encodeEntries);
}

export function encodeEntries(entries: readonly AwarenessEntry[]): Uint8Array {
	const writer = new Writer();
	writer.varUint(entries.length);
	for (const { client, clock, state } of entries) {
		writer.varUint(client);
		writer.varUint(clock);
		writer.varString(state ?? "null");
	}
	return writer.take();
}

function isJson(text: string): boolean {
	try {
		JSON.parse(text);
		return true;
	} catch {
		return false;
	}
}

interface Present {
	entry: AwarenessEntry;
	socket: number;
	owner: string;
	readonly renewedAt: number;
}

interface Departed {
	readonly clock: number;
	readonly owner: string;
	readonly at: number;
}

/**
 * Who is present in a room: the latest state of each client, and which socket speaks for it.
 *
 *   absent ──own entry──► present ──null, clean close──► departed (its clock is remembered) ──120 s──► absent
 *                           │  ▲                            ▲
 *                       cut │  │ same owner, new socket     │ 300 ms without one, or 30 s without renewal
 *                           ▼  │                            │
 *                         leaving ───────────────────────────
 *
 * A socket speaks for its own clients alone. Stock clients repeat what they hear and time others out by themselves:
 * such entries are passed over, not faults. A clock that went by before is refused.
 */
export class AwarenessTable {
	/** The longest unheard of first: each renewal moves its client to the end. */
	readonly #present = new Map<number, Present>();
	readonly #departed = new Map<number, Departed>();
	readonly #clientsOf = new Map<number, Set<number>>();
	/** Sockets that were cut, and until when they may come back. */
	readonly #leaving = new Map<number, number>();
	readonly #changed = new Set<number>();
	/** Of those, what a socket here said: for the relays that share the room. */
	readonly #changedHere = new Set<number>();
	/** Owners of clients that another relay spoke for, and does no more. */
	readonly #vacated = new Set<string>();
	/** Of the states of all who are present. */
	#stateBytes = 0;
	/** What joiners are told, until somebody's state is another. */
	#everybody: readonly Uint8Array[] | null = null;
	readonly #limits: typeof syncLimits;

	constructor(limits = syncLimits) {
		this.#limits = limits;
	}

	/**
	 * @param maxClients how many clients this socket may speak for.
	 * @returns how many entries were passed over because they were not this socket's to send.
	 */
	receive(
		socket: number,
		owner: string,
		entries: readonly AwarenessEntry[],
		now: number,
		options: { readonly maxClients: number; readonly stamp?: (state: string) => string | null } = { maxClients: 1 },
	): number {
		let foreign = 0;
		for (const entry of entries) {
			const verdict = this.#judge(socket, owner, entry, options.maxClients);
			if (verdict === "foreign") foreign += 1;
			if (verdict !== "take") continue;
			if (entry.state === null) this.#depart(entry.client, entry.clock, now);
			else {
				const state = options.stamp === undefined ? entry.state : options.stamp(entry.state);
				if (state === null || !this.#fits(entry.client, state)) foreign += 1;
				else this.#set(socket, owner, { ...entry, state }, now);
			}
		}
		return foreign;
	}

	/**
	 * What another relay knows of its own sockets.
	 * @param relay negative: it stands for all of that relay's sockets.
	 */
	receiveFrom(relay: number, entries: readonly OwnedEntry[], now: number): void {
		for (const { owner, entry } of entries) {
			const present = this.#present.get(entry.client);
			if (entry.state === null) {
				if (present?.socket === relay) this.#depart(entry.client, entry.clock, now);
				continue;
			}
			if (!this.#fits(entry.client, entry.state)) continue;
			if (present === undefined) {
				const departed = this.#departed.get(entry.client);
				const old = departed !== undefined && (departed.owner !== owner || entry.clock < departed.clock);
				if (!old && this.#present.size < this.#limits.maxAwarenessClients) this.#set(relay, owner, entry, now);
			} else if (present.owner !== owner) continue;
			else if (entry.clock > present.entry.clock) this.#set(relay, owner, entry, now);
			else if (present.socket === relay && entry.clock === present.entry.clock)
				this.#renew(entry.client, { ...present, renewedAt: now });
		}
	}

	/** A socket closed. Clean: its clients leave now. Cut: they have a moment to come back. */
	socketClosed(socket: number, clean: boolean, now: number): void {
		if (!this.#clientsOf.has(socket)) return;
		if (clean) this.#removeAll(socket, now);
		else this.#leaving.set(socket, now + this.#limits.leaveGraceMs);
	}

	/** Removes what was cut or not renewed. @returns when to call again, or null. */
	expire(now: number): number | null {
		for (const [socket, until] of this.#leaving) if (until <= now) this.#removeAll(socket, now);
		for (const [client, present] of this.#present) {
			if (present.renewedAt + this.#limits.awarenessTimeoutMs <= now) this.#depart(client, present.entry.clock, now);
		}
		for (const [client, departed] of this.#departed) {
			if (departed.at + this.#limits.departedMs > now) break;
			this.#departed.delete(client);
		}
		return this.nextExpiry();
	}

	nextExpiry(): number | null {
		let next = Number.POSITIVE_INFINITY;
		for (const until of this.#leaving.values()) next = Math.min(next, until);
		const [oldest] = this.#present.values();
		if (oldest !== undefined) next = Math.min(next, oldest.renewedAt + this.#limits.awarenessTimeoutMs);
		return next === Number.POSITIVE_INFINITY ? null : next;
	}

	/** What changed since the last call, encoded once for everybody, its sender included: a stock client that hears nothing reconnects. */
	takeChanges(): readonly Uint8Array[] {
		const entries = [...this.#changed].map((client) => this.#entryOf(client)).filter((entry) => entry !== null);
		this.#changed.clear();
		return encodeInMessages(entries, this.#limits);
	}

	/** What sockets here said since the last call. */
	takeChangesHere(): OwnedEntry[] {
		const changes: OwnedEntry[] = [];
		for (const client of this.#changedHere) {
			const owner = this.#present.get(client)?.owner ?? this.#departed.get(client)?.owner;
			const entry = this.#entryOf(client);
			if (owner !== undefined && entry !== null) changes.push({ owner, entry });
		}
		this.#changedHere.clear();
		return changes;
	}

	/** Everybody whom a socket here speaks for. */
	entriesHere(): OwnedEntry[] {
		return [...this.#present.values()].filter(isHere).map(({ owner, entry }) => ({ owner, entry }));
	}

	/** What a socket speaks for. */
	entriesOf(socket: number): AwarenessEntry[] {
		return [...(this.#clientsOf.get(socket) ?? [])].flatMap((client) => this.#present.get(client)?.entry ?? []);
	}

	/** Whose clients have just been left by another relay: perhaps they are back, here. */
	takeVacated(): ReadonlySet<string> {
		const vacated = new Set(this.#vacated);
		this.#vacated.clear();
		return vacated;
	}

	/** Whether it speaks for anybody. */
	speaks(socket: number): boolean {
		return (this.#clientsOf.get(socket)?.size ?? 0) > 0;
	}

	get sizeHere(): number {
		let count = 0;
		for (const present of this.#present.values()) if (isHere(present)) count += 1;
		return count;
	}

	get hasChanges(): boolean {
		return this.#changed.size > 0;
	}

	/** Everybody present, for one who joins; encoded once for all who do. */
	encodeAll(): readonly Uint8Array[] {
		this.#everybody ??= encodeInMessages(this.entries(), this.#limits);
		return this.#everybody;
	}

	entries(): AwarenessEntry[] {
		return [...this.#present.values()].map((present) => present.entry);
	}

	get size(): number {
		return this.#present.size;
	}

	#judge(socket: number, owner: string, entry: AwarenessEntry, maxClients: number): "take" | "old" | "foreign" {
		const present = this.#present.get(entry.client);
		if (present !== undefined) {
			if (present.socket === socket)
				return entry.clock > present.entry.clock || isRenewal(entry, present) ? "take" : "old";
			// A reconnect, before the old socket is known to be dead. A mere echo never has a newer clock.
			const reconnects = present.owner === owner && entry.state !== null && this.#mayAdd(socket, maxClients);
			const least = this.#leaving.has(present.socket) ? present.entry.clock : present.entry.clock + 1;
			return reconnects && entry.clock >= least ? "take" : "foreign";
		}
		if (entry.state === null) return "foreign";
		const departed = this.#departed.get(entry.client);
		if (departed !== undefined && (departed.owner !== owner || entry.clock < departed.clock)) return "foreign";
		return this.#mayAdd(socket, maxClients) && this.#present.size < this.#limits.maxAwarenessClients
			? "take"
			: "foreign";
	}

	#mayAdd(socket: number, maxClients: number): boolean {
		return (this.#clientsOf.get(socket)?.size ?? 0) < maxClients;
	}

	/** Whether this state of the client's leaves room for the others'. */
	#fits(client: number, state: string): boolean {
		const before = this.#present.get(client)?.entry.state?.length ?? 0;
		return this.#stateBytes - before + state.length <= this.#limits.maxPresentStateBytes;
	}

	#renew(client: number, present: Present): void {
		this.#drop(client);
		this.#present.set(client, present);
		this.#stateBytes += present.entry.state?.length ?? 0;
	}

	#drop(client: number): void {
		this.#stateBytes -= this.#present.get(client)?.entry.state?.length ?? 0;
		this.#present.delete(client);
		this.#everybody = null;
	}

	#set(socket: number, owner: string, entry: AwarenessEntry, now: number): void {
		const before = this.#present.get(entry.client);
		if (before !== undefined && before.socket !== socket) this.#forget(before.socket, entry.client);
		this.#renew(entry.client, { entry, socket, owner, renewedAt: now });
		this.#departed.delete(entry.client);
		const clients = this.#clientsOf.get(socket) ?? new Set<number>();
		clients.add(entry.client);
		this.#clientsOf.set(socket, clients);
		this.#changed.add(entry.client);
		if (socket > 0) this.#changedHere.add(entry.client);
		// Another relay's word stands now: ours of before must not go out after it.
		else this.#changedHere.delete(entry.client);
	}

	#depart(client: number, clock: number, now: number): void {
		const present = this.#present.get(client);
		if (present === undefined) return;
		this.#drop(client);
		this.#forget(present.socket, client);
		this.#departed.delete(client);
		this.#departed.set(client, { clock: Math.max(clock, present.entry.clock), owner: present.owner, at: now });
		const oldest = this.#departed.size > this.#limits.maxDeparted ? this.#departed.keys().next() : undefined;
		if (oldest?.done === false) this.#departed.delete(oldest.value);
		this.#changed.add(client);
		if (isHere(present)) this.#changedHere.add(client);
		else this.#vacated.add(present.owner);
	}

	#forget(socket: number, client: number): void {
		const clients = this.#clientsOf.get(socket);
		clients?.delete(client);
		if (clients?.size === 0 && this.#leaving.has(socket)) {
			this.#leaving.delete(socket);
			this.#clientsOf.delete(socket);
		}
	}

	#removeAll(socket: number, now: number): void {
		for (const client of this.#clientsOf.get(socket) ?? []) this.#depart(client, 0, now);
		this.#clientsOf.delete(socket);
		this.#leaving.delete(socket);
	}

	#entryOf(client: number): AwarenessEntry | null {
		const present = this.#present.get(client);
		if (present !== undefined) return present.entry;
		const departed = this.#departed.get(client);
		return departed === undefined ? null : { client, clock: departed.clock, state: null };
	}
}

/** Sockets count up from 1, other relays down from -1. */
function isHere(present: Present): boolean {
	return present.socket > 0;
}

/** The same clock with null: gone. Stock clients say goodbye without counting on. */
function isRenewal(entry: AwarenessEntry, present: Present): boolean {
	return entry.state === null && entry.clock === present.entry.clock;
}
