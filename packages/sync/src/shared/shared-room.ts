import type { Closeable, Logger } from "@warren/kernel";
import { messageOf } from "@warren/kernel";
import type { UpdateLog } from "../log/update-log.ts";
import { type LoggedUpdate, maxNoteBytes, type RoomNote, UpdateSequence } from "../protocol/index.ts";
import { relayLimits } from "../relay/relay-limits.ts";
import type { RoomExchange } from "./room-exchange.ts";

export interface SharedRoomDeps {
	readonly exchange: RoomExchange;
	readonly log: UpdateLog;
	readonly logger: Logger;
	/** Resolves when no commit of ours is on its way: what the log shows of ours is then known as ours. */
	readonly committed: () => Promise<void>;
	/** These come next, in the order of the log, each once. */
	readonly onUpdates: (updates: readonly LoggedUpdate[]) => void;
	/** The log does not continue from here: what is open must begin anew. */
	readonly onBroken: (message: string) => void;
}

/** One room's updates from all relays, in the order of the log: notes when they come, the log when they do not. */
export class SharedRoom implements Closeable {
	readonly #deps: SharedRoomDeps;
	readonly #room: string;
	readonly #sequence: UpdateSequence;
	#reading: Promise<void> | null = null;
	#wanted: number;
	#closed = false;

	constructor(deps: SharedRoomDeps, room: string, head: number) {
		this.#deps = deps;
		this.#room = room;
		this.#sequence = new UpdateSequence(head);
		this.#wanted = head;
	}

	tell(note: RoomNote): void {
		this.#deps.exchange.tell(this.#room, note);
	}

	/** Our own, just committed: the others hear of them, and they take their place. */
	committed(updates: readonly LoggedUpdate[]): void {
		const bytes = updates.reduce((sum, each) => sum + each.update.length, 0);
		const first = updates[0]?.seq ?? 0;
		const carried = bytes <= maxNoteBytes ? updates.map((each) => each.update) : null;
		this.tell({ type: "updates", first, count: updates.length, updates: carried });
		this.#offer(updates);
	}

	/** Another relay's, as it tells them. */
	heard(note: Extract<RoomNote, { type: "updates" }>): void {
		if (note.updates === null) return this.seen(note.first + note.count - 1);
		this.#offer(note.updates.map((update, index) => ({ seq: note.first + index, update, socket: null })));
	}

	/** The log reaches so far. */
	seen(head: number): void {
		if (head > this.#wanted) this.#wanted = head;
		if (this.#sequence.hasGap || this.#wanted > this.#sequence.head) void this.#read();
	}

	/** Resolves when everything up to `seq` was given out, or the room is broken. @throws WarrenError when the log does not answer. */
	async reach(seq: number): Promise<void> {
		this.#wanted = Math.max(this.#wanted, seq);
		while (!this.#closed && this.#sequence.head < seq) await this.#readOrThrow();
	}

	close(): void {
		this.#closed = true;
	}

	#offer(updates: readonly LoggedUpdate[]): void {
		const run = this.#sequence.offer(updates);
		if (run.length > 0) this.#deps.onUpdates(run);
		if (this.#sequence.hasGap && !this.#closed) void this.#read();
	}

	async #read(): Promise<void> {
		try {
			await this.#readOrThrow();
		} catch (fault) {
			// The next look at the heads asks again.
			this.#deps.logger.warn("a document's log was not read", { room: this.#room, fault: messageOf(fault) });
		}
	}

	#readOrThrow(): Promise<void> {
		this.#reading ??= this.#readNow().finally(() => {
			this.#reading = null;
		});
		return this.#reading;
	}

	async #readNow(): Promise<void> {
		while (!this.#closed) {
			const after = this.#sequence.head;
			const stored = await this.#deps.log.read(this.#room, after, relayLimits.readAheadBytes);
			await this.#deps.committed();
			if (this.#closed) return;
			// What came meanwhile may have closed the gap.
			const next = stored.find((each) => each.seq > this.#sequence.head);
			if (next !== undefined && next.seq !== this.#sequence.head + 1) {
				this.close();
				this.#deps.onBroken(`updates after ${this.#sequence.head} were compacted before they were read`);
				return;
			}
			if (next === undefined && this.#sequence.head < this.#wanted && stored.length === 0) {
				const head = await this.#deps.log.head(this.#room);
				if (this.#sequence.head >= this.#wanted) return;
				this.close();
				this.#deps.onBroken(`the log has ${head.head} updates where ${this.#wanted} were known`);
				return;
			}
			this.#offerRead(stored.map((each) => ({ ...each, socket: null })));
			if (!this.#sequence.hasGap && this.#sequence.head >= this.#wanted) return;
		}
	}

	#offerRead(updates: readonly LoggedUpdate[]): void {
		const run = this.#sequence.offer(updates);
		if (run.length > 0) this.#deps.onUpdates(run);
	}
}
