import { headerBytes } from "../protocol/frames.ts";
import { firstWindowBytes, LaneRecord } from "../protocol/lanes.ts";
import { HeldBytes } from "./held-bytes.ts";
import type { LinkChannel } from "./link-channel.ts";
import { type Granter, ReceiveWindow, worthTellingBytes } from "./receive-window.ts";
import type { SharedConnection } from "./shared-connection.ts";

/** Whoever reads a lane. */
export interface LaneUser {
	onBytes(piece: Buffer): void;
	/** What was written has gone out after `write` had said false. */
	onRoom(): void;
	/** The lane is gone, or its whole connection. Called once. */
	onGone(reason: string): void;
}

/** Bytes between two beats after which a lane counts as bulk: small requests rather go elsewhere meanwhile. */
const bulkBytes = 512 * 1024;
const maxRecordValue = 0xff_ff_ff_ff;

/**
 * One channel of a shared connection. Who reads grants credit as it takes bytes, so that a reader that stands holds its
 * own lane and no other.
 */
export class Lane implements LinkChannel, Granter {
	readonly number: number;
	readonly shared: SharedConnection;
	user: LaneUser | null = null;
	#open = true;
	/** How much this side may send. */
	#credit: number = firstWindowBytes;
	/** What the credit did not let through. */
	readonly #held: Uint8Array[] = [];
	#heldBytes = 0;
	/** `write` said false since the user last heard that there is room. */
	#owesRoom = false;
	readonly #window: ReceiveWindow;
	readonly #unread = new HeldBytes();
	#paused = false;
	#passed = 0;
	#bulk = false;

	constructor(shared: SharedConnection, number: number) {
		this.shared = shared;
		this.number = number;
		this.#window = new ReceiveWindow(this, shared.windows);
	}

	get writableLength(): number {
		return this.#heldBytes + this.shared.pendingBytes;
	}

	// ── out ──

	write(bytes: Uint8Array): boolean {
		if (!this.#open) return true;
		this.#count(bytes.length);
		if (this.#heldBytes === 0 && bytes.length <= this.#credit) {
			this.#credit -= bytes.length;
			this.shared.send(this.number, bytes);
			return this.#flowing();
		}
		if (this.#heldBytes === 0) {
			const now = this.#credit;
			this.#credit = 0;
			if (now > 0) this.shared.send(this.number, bytes.subarray(0, now));
			this.#hold(bytes.subarray(now));
			this.shared.sendRecord(LaneRecord.blocked, this.number, 0);
		} else this.#hold(bytes);
		this.#owesRoom = true;
		return false;
	}

	/** One whole frame of its link, with its head. @returns null when it has to go the other way, through `write`. */
	writeFrame(type: number, payload: Uint8Array | string): boolean | null {
		const bytes = headerBytes + payload.length;
		if (!this.#open || this.#heldBytes > 0 || bytes > this.#credit) return null;
		if (!this.shared.sendFrame(this.number, type, payload)) return null;
		this.#count(bytes);
		this.#credit -= bytes;
		return this.#flowing();
	}

	/** So many bytes are to be written next. */
	announce(bytes: number): void {
		if (bytes >= worthTellingBytes)
			this.shared.sendRecord(LaneRecord.blocked, this.number, Math.min(bytes, maxRecordValue));
	}

	#hold(bytes: Uint8Array): void {
		this.#held.push(bytes);
		this.#heldBytes += bytes.length;
	}

	#flowing(): boolean {
		if (!this.shared.congested) return true;
		this.#owesRoom = true;
		this.shared.awaitRoom(this);
		return false;
	}

	onCredit(bytes: number): void {
		// It says nothing, and an answer to each would wait for a reader that there need not be.
		if (bytes === 0) return;
		this.#credit += bytes;
		while (this.#held.length > 0 && this.#credit > 0) {
			const first = this.#held[0] as Uint8Array;
			const now = Math.min(first.length, this.#credit);
			this.shared.send(this.number, now === first.length ? first : first.subarray(0, now));
			this.#credit -= now;
			this.#heldBytes -= now;
			if (now === first.length) this.#held.shift();
			else this.#held[0] = first.subarray(now);
		}
		if (this.#heldBytes > 0) this.shared.sendRecord(LaneRecord.blocked, this.number, 0);
		else if (this.#owesRoom && this.#flowing()) this.onRoom();
	}

	/** The connection takes bytes again. */
	onRoom(): void {
		if (this.#heldBytes > 0 || !this.#owesRoom) return;
		this.#owesRoom = false;
		this.user?.onRoom();
	}

	// All of one turn goes out together anyway.
	cork(): void {}
	uncork(): void {}

	// ── in ──

	/** @returns false when it is more than was granted. */
	onBytes(piece: Buffer): boolean {
		if (!this.#window.came(piece.length)) return false;
		this.#count(piece.length);
		if (this.#paused || this.#unread.length > 0) {
			this.#unread.push(piece);
			this.#window.waits(this.#unread.length);
		} else this.#take(piece);
		return true;
	}

	#take(piece: Buffer): void {
		this.#window.takes(piece.length);
		this.user?.onBytes(piece);
		if (this.#open) this.#window.grantAnew();
	}

	grant(bytes: number): void {
		this.shared.sendRecord(LaneRecord.credit, this.number, bytes);
	}

	/** @param toCome the other side is not held back yet, and knows how much it will send; 0 = it is. */
	onBlocked(toCome: number): void {
		if (toCome > 0) this.expect(toCome);
		else this.#window.blocked(this.#unread.length);
	}

	/** So many bytes come next. */
	expect(bytes: number): void {
		this.#window.expect(bytes, this.#unread.length);
	}

	/**
	 * Between streams: it holds of what all lanes share what somebody else may need, and a new one is cheaper. While half is
	 * left, or just after a large body, it keeps its window for the next one.
	 */
	get shouldGo(): boolean {
		if (this.#bulk) return false;
		// Of what the other side shares out, this one cannot tell how much is left.
		if (this.#credit > firstWindowBytes) return true;
		return !this.#window.isFirst && this.shared.windows.isScarce;
	}

	pause(): void {
		this.#paused = true;
	}

	resume(): void {
		this.#paused = false;
		// Not from within: whoever resumes may be in the middle of an earlier piece.
		if (this.#unread.length > 0) process.nextTick(this.#deliver);
	}

	readonly #deliver = (): void => {
		while (!this.#paused && this.#open) {
			const piece = this.#unread.shift();
			if (piece === null) break;
			this.#take(piece);
		}
	};

	isPaused(): boolean {
		return this.#paused;
	}

	// ── between streams, and the end ──

	/** Told now and then: a stream that goes on for days is not bulk because it has moved much in all. */
	beat(): void {
		if (this.#passed < bulkBytes) this.rest();
		else this.#passed = 0;
	}

	/** A stream is over: what it moved says nothing of the next one. */
	rest(): void {
		this.#passed = 0;
		this.#window.forget();
		if (!this.#bulk) return;
		this.#bulk = false;
		this.shared.bulk -= 1;
	}

	#count(bytes: number): void {
		this.#passed += bytes;
		if (this.#bulk || this.#passed < bulkBytes) return;
		this.#bulk = true;
		this.shared.bulk += 1;
	}

	destroy(): void {
		if (!this.#open) return;
		this.shared.sendRecord(LaneRecord.close, this.number, 0);
		this.gone("the link is closed");
	}

	/** The other side, or the connection, has ended it. */
	gone(reason: string): void {
		if (!this.#open) return;
		this.#open = false;
		this.rest();
		this.#window.close();
		this.#held.length = 0;
		this.#heldBytes = 0;
		this.#unread.clear();
		const { user } = this;
		this.user = null;
		this.shared.forget(this);
		user?.onGone(reason);
	}
}
