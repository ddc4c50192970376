import type { Duplex } from "node:stream";
import {
	encodeCoded,
	encodeFrame,
	FrameReader,
	FrameType,
	frameLimits,
	headerBytes,
	type OpenRequest,
	parseOpen,
	ResetCode,
	writeHeader,
} from "../protocol/frames.ts";
import { Lane, type LaneUser } from "./lane.ts";
import type { LinkChannel } from "./link-channel.ts";

/** Whoever uses the stream of a link now. */
export interface StreamUser {
	/** @param last ends a frame: for UDP, the datagram. The bytes are valid during the call and after it. */
	onData(piece: Buffer, last: boolean): void;
	/** The other side has ended its direction, cleanly. */
	onEnd(): void;
	/** The stream is broken: by the other side (its code), or because the link is gone (`lost`). Called once. */
	onBroken(code: number, reason: string): void;
	/** What was written has gone out after `write` had said false. */
	onDrain(): void;
}

/** What a link tells its owner, between and beside streams. */
export interface LinkOwner {
	/** Agent side: the server begins a stream. Set `link.user` before returning. */
	onOpen?(link: TunnelLink, open: OpenRequest): void;
	/** Both directions are over; the link is idle and may carry another stream. */
	onIdle(link: TunnelLink): void;
	onControl(link: TunnelLink, type: number, payload: Buffer): void;
	onClosed(link: TunnelLink, reason: string): void;
}

/** Code of `onBroken` when the whole link is gone: no frame carries it. */
export const linkLost = 0;

/** Pongs that may wait for a reader who takes nothing: whoever pings for a reason waits for its pong before the next one. */
export const maxWaitingPongs = 1024;

/** A side that does not read says this often that it lives: the other one cuts what is silent for twice 5 s (SPEC L3). */
export const aliveMs = 4_000;

/** What a lane's last PING carries, unlike all others. */
const lastPing = Buffer.from("lastping");

/** Small payloads travel in one buffer with their header; above it a copy costs more than a second write. */
export const copyBelowBytes = 8 * 1024;

// What a channel says finds its link by this: five closures for each of ten thousand idle links are 700 bytes a link.
const linkOf = Symbol("link");
interface Linked extends Duplex {
	[linkOf]: TunnelLink;
}

function heardData(this: Linked, chunk: Buffer): void {
	this[linkOf].onBytes(chunk);
}
function heardDrain(this: Linked): void {
	this[linkOf].onRoom();
}
function heardEnd(this: Linked): void {
	this[linkOf].close("the other side closed the link");
}
function heardFault(this: Linked, fault: Error): void {
	this[linkOf].close(fault.message);
}
function heardClose(this: Linked): void {
	this[linkOf].close("the link is gone");
}

/**
 * One parked connection: frames over any byte channel (a socket, an HTTP/2 stream, a WebSocket), one stream at a time.
 *
 *   idle ──OPEN──► open ──END or RESET sent and received, each way──► idle
 *     └──────────────┴── channel gone or protocol fault ──► closed
 */
export class TunnelLink implements LaneUser {
	user: StreamUser | null = null;
	/** Neither RESET nor END went out for this stream; the other way likewise. */
	#localOpen = false;
	#remoteOpen = false;
	#closed = false;
	/** GOAWAY came or went: no further stream. */
	retiring = false;
	/** A ping is unanswered since then; 0 = none. */
	pingedAt = 0;
	readonly channel: LinkChannel;
	/** It shares its connection with others; null = it has one of its own. */
	readonly lane: Lane | null;
	readonly #owner: LinkOwner;
	readonly #reader = new FrameReader();
	readonly #now: () => number;
	#blocked = false;
	/** Written since the channel last took what it was given. */
	#waitingPongs = 0;
	#heardAt: number;
	#toldAt = 0;
	/** This side's END was said: the other one may not have read it yet, nor what was said before it. */
	#endSaid = false;
	/** Last PINGs whose PONGs are awaited; of a connection of its own: whether its end was said. */
	#finishing = 0;

	constructor(channel: Duplex | Lane, owner: LinkOwner, now: () => number) {
		this.channel = channel;
		this.#owner = owner;
		this.#now = now;
		this.#heardAt = now();
		this.lane = channel instanceof Lane ? channel : null;
		if (channel instanceof Lane) {
			channel.user = this;
			return;
		}
		(channel as Linked)[linkOf] = this;
		channel.on("data", heardData);
		channel.on("drain", heardDrain);
		channel.on("end", heardEnd);
		channel.on("error", heardFault);
		channel.on("close", heardClose);
	}

	onRoom(): void {
		this.#blocked = false;
		this.#waitingPongs = 0;
		this.user?.onDrain();
	}

	onGone(reason: string): void {
		this.close(reason);
	}

	/** Coarse time of the last byte from the other side; the owner's sweep compares it. */
	get heardAt(): number {
		return this.lane === null ? this.#heardAt : this.lane.shared.heardAt;
	}

	get reading(): boolean {
		return !this.#closed;
	}

	get isOpen(): boolean {
		return !this.#closed;
	}

	get isIdle(): boolean {
		return !this.#closed && !this.#localOpen && !this.#remoteOpen;
	}

	/** Bytes that wait to go out. */
	get bufferedBytes(): number {
		return this.channel.writableLength;
	}

	/** Server side. The link must be idle. */
	open(request: OpenRequest, user: StreamUser): void {
		this.user = user;
		this.#localOpen = true;
		this.#remoteOpen = true;
		this.channel.write(encodeFrame(FrameType.open, JSON.stringify(request)));
	}

	/**
	 * @param data up to `copyBelowBytes` are copied, and may be overwritten afterwards.
	 * @returns false when the caller should wait for `onDrain`.
	 */
	write(data: Uint8Array): boolean {
		if (!this.#localOpen || this.#closed) return true;
		const { channel } = this;
		if (data.length <= copyBelowBytes) {
			const written = this.lane?.writeFrame(FrameType.data, data) ?? null;
			if (written !== null) return this.#flowing(written);
			const frame = Buffer.allocUnsafe(headerBytes + data.length);
			writeHeader(frame, 0, FrameType.data, data.length);
			frame.set(data, headerBytes);
			return this.#flowing(channel.write(frame));
		}
		channel.cork();
		let flowing = true;
		for (let at = 0; at < data.length; at += frameLimits.maxDataBytes) {
			const piece = data.subarray(at, Math.min(data.length, at + frameLimits.maxDataBytes));
			const header = Buffer.allocUnsafe(headerBytes);
			writeHeader(header, 0, FrameType.data, piece.length);
			channel.write(header);
			flowing = channel.write(piece);
		}
		channel.uncork();
		return this.#flowing(flowing);
	}

	/** Writes a latin1 text that one frame holds, such as a head. */
	writeText(text: string): boolean {
		if (!this.#localOpen || this.#closed) return true;
		const written = this.lane?.writeFrame(FrameType.data, text) ?? null;
		if (written !== null) return this.#flowing(written);
		const frame = Buffer.allocUnsafe(headerBytes + text.length);
		writeHeader(frame, 0, FrameType.data, text.length);
		frame.write(text, headerBytes, "latin1");
		return this.#flowing(this.channel.write(frame));
	}

	/** This direction is over, cleanly. */
	end(): void {
		if (!this.#localOpen || this.#closed) return;
		this.#localOpen = false;
		this.channel.write(encodeFrame(FrameType.end));
		this.#endSaid = true;
		this.#settle();
	}

	/** Breaks the stream, both ways. The user hears no more. */
	reset(code: number, reason: string): void {
		this.#endSaid = false;
		this.user = null;
		if (this.#closed || (!this.#localOpen && !this.#remoteOpen)) return;
		if (this.#localOpen) {
			this.#localOpen = false;
			this.channel.write(encodeCoded(FrameType.reset, code, reason));
		} else {
			// END went out already: only the end of the link can still say that this is no clean end.
			this.close(reason);
			return;
		}
		if (this.channel.isPaused()) this.channel.resume();
		this.#settle();
	}

	ping(): void {
		if (this.#closed || this.pingedAt !== 0) return;
		this.pingedAt = this.#now();
		if (this.#finishing === 0) this.channel.write(encodeFrame(FrameType.ping, Buffer.alloc(8)));
	}

	/**
	 * Told now and then: while this side does not read, pings wait behind what is unread, and a PONG that nobody asked for
	 * says that it lives.
	 */
	tellAlive(): void {
		// Where something waits to go out, the other side does not read either.
		if (this.#closed || this.#finishing > 0 || !this.channel.isPaused() || this.channel.writableLength > 0) return;
		const now = this.#now();
		if (now - this.#toldAt < aliveMs) return;
		this.#toldAt = now;
		this.channel.write(encodeFrame(FrameType.pong, Buffer.alloc(8)));
	}

	control(type: number, payload: Uint8Array | string): void {
		if (!this.#closed) this.channel.write(encodeFrame(type, payload));
	}

	/** No further stream: what is open goes on. */
	goAway(code: number, reason: string): void {
		if (this.#closed) return;
		this.retiring = true;
		this.channel.write(encodeCoded(FrameType.goAway, code, reason));
	}

	/** So many bytes of the stream come next: what shares its connection with others may be let through at once. */
	expect(bytes: number): void {
		this.lane?.expect(bytes);
	}

	/** So many bytes are to be written next: where others share its connection, the other side may make room. */
	announce(bytes: number): void {
		if (this.#localOpen) this.lane?.announce(bytes);
	}

	pause(): void {
		this.channel.pause();
	}

	resume(): void {
		this.channel.resume();
	}

	/** An idle link ends: what was said last goes out first, and is read. */
	finish(reason: string): void {
		if (this.#finishing > 0 && (this.lane === null || !this.#endSaid)) return;
		if (!this.#endSaid) return this.close(reason);
		this.#finishing += 1;
		// The end of a lane leaves nothing of what waits to be read: its PONG says that nothing does.
		if (this.lane !== null) this.channel.write(encodeFrame(FrameType.ping, lastPing));
		else (this.channel as Duplex).end();
	}

	/** Cuts the channel; an open stream is broken. Safe to call twice. */
	close(reason: string): void {
		if (this.#closed) return;
		this.#closed = true;
		const { user } = this;
		const broken = this.#localOpen || this.#remoteOpen;
		this.user = null;
		this.#localOpen = false;
		this.#remoteOpen = false;
		this.channel.destroy();
		if (broken) user?.onBroken(linkLost, reason);
		this.#owner.onClosed(this, reason);
	}

	onBytes(chunk: Buffer): void {
		if (this.#closed) return;
		if (this.lane === null) this.#heardAt = this.#now();
		const fault = this.#reader.feed(chunk, this);
		if (fault !== null) this.close(fault);
	}

	onData(piece: Buffer, last: boolean): void {
		if (!this.#remoteOpen) return this.close("DATA outside a stream");
		// Without a user it was on its way when this side broke the stream.
		this.user?.onData(piece, last);
	}

	onControl(type: number, payload: Buffer): void {
		switch (type) {
			case FrameType.open:
				return this.#opened(payload);
			case FrameType.end: {
				if (!this.#remoteOpen) return;
				this.#remoteOpen = false;
				const wasEnded = !this.#localOpen;
				this.user?.onEnd();
				// Whoever ends its own direction at that has settled it.
				if (wasEnded) this.#settle();
				return;
			}
			case FrameType.reset: {
				if (!this.#remoteOpen) return;
				this.#remoteOpen = false;
				const { user } = this;
				this.user = null;
				if (this.#localOpen) {
					this.#localOpen = false;
					this.channel.write(encodeCoded(FrameType.reset, ResetCode.cancelled, ""));
				}
				const code = payload.length >= 2 ? payload.readUInt16BE(0) : ResetCode.protocol;
				user?.onBroken(code === linkLost ? ResetCode.protocol : code, payload.subarray(2, 502).toString("utf8"));
				return this.#settle();
			}
			case FrameType.ping:
				if (this.#finishing > 0 && this.lane === null) return;
				if (this.channel.write(encodeFrame(FrameType.pong, payload.subarray(0, 8)))) this.#waitingPongs = 0;
				else if (++this.#waitingPongs > maxWaitingPongs) this.close("pings whose pongs nobody takes");
				return;
			case FrameType.pong:
				this.pingedAt = 0;
				if (this.#finishing === 0 || !payload.equals(lastPing)) return;
				this.#finishing -= 1;
				// A stream may have begun before the other side heard that none should: the link goes when that is over.
				if (this.#finishing === 0 && this.isIdle) this.close("over");
				return;
			case FrameType.goAway:
				this.retiring = true;
				return this.#owner.onControl(this, type, payload);
			default:
				return this.#owner.onControl(this, type, payload);
		}
	}

	#opened(payload: Buffer): void {
		if (this.#owner.onOpen === undefined) return this.close("OPEN from an agent");
		// Nothing could be answered; the end that was said breaks it over there.
		if (this.#finishing > 0 && this.lane === null) return;
		if (!this.isIdle) return this.close("OPEN on a link whose stream is not over");
		const open = parseOpen(payload);
		if (open === null) return this.close("OPEN that is none");
		this.#localOpen = true;
		this.#remoteOpen = true;
		this.#owner.onOpen(this, open);
	}

	#flowing(flowing: boolean): boolean {
		if (!flowing) this.#blocked = true;
		return flowing && !this.#blocked;
	}

	#settle(): void {
		if (this.#localOpen || this.#remoteOpen || this.#closed) return;
		this.user = null;
		if (this.channel.isPaused()) this.channel.resume();
		this.#owner.onIdle(this);
	}
}
