import type { Duplex } from "node:stream";
import { headerBytes, writeHeader } from "../protocol/frames.ts";
import { LaneRecord, laneLimits, RecordReader, type RecordSink, recordBytes, writeRecord } from "../protocol/lanes.ts";
import { Lane } from "./lane.ts";
import type { WindowBudget } from "./window-budget.ts";

/** Small pieces are gathered in one buffer; above it a copy costs more than a write of its own. */
const copyBelowBytes = 8 * 1024;
const slabBytes = { first: 2 * 1024, most: 64 * 1024 } as const;
const noSlab = Buffer.alloc(0);
/** More than this does not wait for the end of the turn. */
const maxGatheredBytes = 256 * 1024;
/** Lanes that stand at once. */
const maxOpenLanes = 16_384;

/** What a shared connection tells its owner. */
export interface SharedOwner {
	/** Agent side: the server has begun a lane. Set its user before returning. */
	onLane?(lane: Lane): void;
	onClosed(shared: SharedConnection, reason: string): void;
}

/**
 * Many lanes on one connection: what all of them say in one turn goes out in one write. Nobody's reader holds the
 * connection: it is always read, and each lane's credit bounds what waits.
 */
export class SharedConnection implements RecordSink {
	readonly #socket: Duplex;
	readonly #owner: SharedOwner;
	readonly #now: () => number;
	readonly #reader = new RecordReader();
	readonly #lanes = new Map<number, Lane>();
	#next = 0;
	#open = true;
	/** Coarse time of the last byte from the other side. */
	heardAt: number;
	/** No further lane; it ends with its last one. */
	retiring = false;
	/** Lanes that move much at the moment. */
	bulk = 0;
	/** The kernel takes no more for now. */
	congested = false;
	readonly #awaitingRoom = new Set<Lane>();
	readonly windows: WindowBudget;
	// What goes out at the end of this turn.
	#out: Uint8Array[] = [];
	#gatheredBytes = 0;
	#slab = noSlab;
	/** Of the next one; it doubles while they are used up. */
	#slabBytes: number = slabBytes.first;
	#slabUsed = false;
	#slabFrom = 0;
	#slabTo = 0;
	#due = false;
	readonly #flushDue = () => {
		this.#due = false;
		this.#flush();
	};

	/** @param windows of all connections together. */
	constructor(socket: Duplex, owner: SharedOwner, now: () => number, windows: WindowBudget) {
		this.windows = windows.half();
		this.#socket = socket;
		this.#owner = owner;
		this.#now = now;
		this.heardAt = now();
		socket.on("data", (chunk: Buffer) => this.#read(chunk));
		socket.on("drain", () => this.#drained());
		socket.on("end", () => this.close("the other side closed the connection"));
		socket.on("error", (fault: Error) => this.close(fault.message));
		socket.on("close", () => this.close("the connection is gone"));
	}

	get reading(): boolean {
		return this.#open;
	}

	get isOpen(): boolean {
		return this.#open;
	}

	/** Its own link's included. */
	get laneCount(): number {
		return this.#lanes.size;
	}

	/** Bytes that wait to go out. */
	get pendingBytes(): number {
		return this.#gatheredBytes + this.#socket.writableLength;
	}

	/** Server side. @returns null when no further lane may stand. */
	openLane(): Lane | null {
		if (!this.#open || this.retiring || this.#lanes.size >= maxOpenLanes) return null;
		const lane = new Lane(this, this.#next);
		if (this.#next++ === laneLimits.maxLanes) this.retiring = true;
		this.#lanes.set(lane.number, lane);
		this.sendRecord(LaneRecord.open, lane.number, 0);
		return lane;
	}

	/** No further lane; what runs goes on. */
	retire(): void {
		this.retiring = true;
		this.#closeIfOver();
	}

	close(reason: string): void {
		if (!this.#open) return;
		// What was said last still goes out.
		this.#flush();
		this.#open = false;
		this.#socket.destroy();
		for (const lane of [...this.#lanes.values()]) lane.gone(reason);
		this.#owner.onClosed(this, reason);
	}

	/** Its own link alone is left, and nothing more will come. */
	#closeIfOver(): void {
		if (this.retiring && this.#lanes.size <= 1) this.close("retired");
	}

	// ── for its lanes ──

	send(lane: number, bytes: Uint8Array): void {
		const { length } = bytes;
		if (!this.#open || length === 0) return;
		if (length <= copyBelowBytes) {
			this.#header(LaneRecord.bytes, lane, length, length);
			this.#slab.set(bytes, this.#slabTo);
			this.#slabTo += length;
			this.#gathered(recordBytes + length);
			return;
		}
		for (let at = 0; at < length; at += laneLimits.maxRecordBytes) {
			const piece = bytes.subarray(at, Math.min(length, at + laneLimits.maxRecordBytes));
			this.#header(LaneRecord.bytes, lane, piece.length, 0);
			this.#endSlab();
			this.#out.push(piece);
			this.#gathered(recordBytes + piece.length);
		}
	}

	/** A frame and its heads, written where they go out from. @returns false when it is too large for that. */
	sendFrame(lane: number, type: number, payload: Uint8Array | string): boolean {
		const { length } = payload;
		if (!this.#open || length > copyBelowBytes) return false;
		const bytes = headerBytes + length;
		this.#header(LaneRecord.bytes, lane, bytes, bytes);
		writeHeader(this.#slab, this.#slabTo, type, length);
		const at = this.#slabTo + headerBytes;
		if (typeof payload === "string") this.#slab.write(payload, at, "latin1");
		else this.#slab.set(payload, at);
		this.#slabTo += bytes;
		this.#gathered(recordBytes + bytes);
		return true;
	}

	sendRecord(type: number, lane: number, value: number): void {
		if (!this.#open) return;
		this.#header(type, lane, value, 0);
		this.#gathered(recordBytes);
	}

	awaitRoom(lane: Lane): void {
		this.#awaitingRoom.add(lane);
	}

	forget(lane: Lane): void {
		this.#lanes.delete(lane.number);
		this.#awaitingRoom.delete(lane);
		if (lane.number === 0) this.close("its own link is gone");
		else if (this.#open) this.#closeIfOver();
	}

	// ── out ──

	/** @param room bytes that follow it in the same buffer. */
	#header(type: number, lane: number, value: number, room: number): void {
		if (this.#slabTo + recordBytes + room > this.#slab.length) this.#nextSlab(recordBytes + room);
		this.#slabUsed = true;
		writeRecord(this.#slab, this.#slabTo, type, lane, value);
		this.#slabTo += recordBytes;
	}

	#nextSlab(least: number): void {
		this.#endSlab();
		this.#slab = Buffer.allocUnsafeSlow(Math.max(this.#slabBytes, least));
		this.#slabBytes = Math.min(this.#slabBytes * 2, slabBytes.most);
		this.#slabFrom = 0;
		this.#slabTo = 0;
	}

	/** Told now and then: who has said nothing since keeps no memory for it. */
	beat(): void {
		if (!this.#slabUsed && this.#out.length === 0 && this.#slabTo === this.#slabFrom) {
			this.#slab = noSlab;
			this.#slabBytes = slabBytes.first;
			this.#slabFrom = 0;
			this.#slabTo = 0;
		}
		this.#slabUsed = false;
	}

	#endSlab(): void {
		if (this.#slabTo === this.#slabFrom) return;
		this.#out.push(this.#slab.subarray(this.#slabFrom, this.#slabTo));
		this.#slabFrom = this.#slabTo;
	}

	#gathered(bytes: number): void {
		this.#gatheredBytes += bytes;
		if (this.#gatheredBytes >= maxGatheredBytes) this.#flush();
		else if (!this.#due) {
			this.#due = true;
			setImmediate(this.#flushDue);
		}
	}

	#flush(): void {
		this.#endSlab();
		const out = this.#out;
		if (out.length === 0 || !this.#open) return;
		this.#out = [];
		this.#gatheredBytes = 0;
		const socket = this.#socket;
		if (out.length === 1) {
			if (!socket.write(out[0])) this.congested = true;
			return;
		}
		socket.cork();
		for (const each of out) if (!socket.write(each)) this.congested = true;
		socket.uncork();
	}

	#drained(): void {
		this.congested = false;
		const lanes = [...this.#awaitingRoom];
		this.#awaitingRoom.clear();
		for (const lane of lanes) lane.onRoom();
	}

	// ── in ──

	#read(chunk: Buffer): void {
		if (!this.#open) return;
		this.heardAt = this.#now();
		const fault = this.#reader.feed(chunk, this);
		if (fault !== null) this.close(fault);
	}

	onBytes(number: number, piece: Buffer): void {
		const lane = this.#lanes.get(number);
		if (lane !== undefined) {
			if (!lane.onBytes(piece)) this.close(`lane ${number} was sent more than it had granted`);
		} else if (number >= this.#next) this.close(`bytes for lane ${number}, which never was`);
	}

	onRecord(type: number, number: number, value: number): void {
		if (type === LaneRecord.open) return this.#opened(number);
		const lane = this.#lanes.get(number);
		if (lane === undefined) {
			// One that has just ended here may still be spoken of.
			if (number >= this.#next) this.close(`a record for lane ${number}, which never was`);
			return;
		}
		if (type === LaneRecord.credit) lane.onCredit(value);
		else if (type === LaneRecord.blocked) lane.onBlocked(value);
		else lane.gone("the other side closed the link");
	}

	#opened(number: number): void {
		const { onLane } = this.#owner;
		if (onLane === undefined) return this.close("a lane that an agent begins");
		if (number !== this.#next) return this.close(`lane ${number} where ${this.#next} was due`);
		if (this.#lanes.size >= maxOpenLanes) return this.close(`more than ${maxOpenLanes} lanes`);
		this.#next += 1;
		const lane = new Lane(this, number);
		this.#lanes.set(number, lane);
		onLane.call(this.#owner, lane);
	}
}
