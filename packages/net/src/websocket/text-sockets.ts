import type { Duplex } from "node:stream";
import { type Clock, type Closeable, closeCodes, type Timer } from "@warren/kernel";
import type { Upgrade } from "../http/route.ts";
import { asciiFrameBytes, type Frame, joinFrames, textFrameBytes } from "./frame.ts";
import { MessageReader } from "./message-reader.ts";
import { handshakeAnswer } from "./splice.ts";
import { TextWrites } from "./text-writes.ts";

export interface TextSocketsOptions {
	readonly maxMessageBytes: number;
	/** Bytes that may wait for a slow reader; above it the socket closes 1013. */
	readonly maxBufferedBytes: number;
	onMessage(socket: TextSocket, text: string): void;
	/** Once a socket, as soon as nothing more can be sent; also for those that were cut (1006). */
	onClose(socket: TextSocket, code: number): void;
}

export const textSocketLimits = {
	/** Whoever is silent this long is pinged… */
	pingMs: 20_000,
	/** …and whoever stays silent this long is gone. */
	silenceMs: 45_000,
	/** How often a part of the sockets is looked at; all of them within `lapMs`. */
	sweepMs: 100,
	lapMs: 5_000,
	closeMs: 3_000,
	/** What can wait (`sendSoon`) goes out with what comes next, or after this. */
	soonMs: 20,
} as const;

/**
 * Many WebSockets with small text messages: one heartbeat for all, one write per socket and turn of the event loop, and
 * what several sockets are sent alike is framed and joined once. A socket costs an object and a reader.
 */
export class TextSockets implements Closeable {
	readonly options: TextSocketsOptions;
	readonly #clock: Clock;
	readonly #sockets = new Set<TextSocket>();
	readonly #closing = new Map<TextSocket, number>();
	/** For TextSocket alone. */
	readonly writes = new TextWrites();
	#patient: TextSocket[] = [];
	#soon: Timer | null = null;
	#lap: Iterator<TextSocket> | null = null;
	#sweep: Timer | null = null;
	/** Monotonic, whole milliseconds, moved by the sweep: a clock asked with every read would be a number made anew. */
	time = 0;

	constructor(clock: Clock, options: TextSocketsOptions) {
		this.#clock = clock;
		this.options = options;
	}

	get size(): number {
		return this.#sockets.size;
	}

	accept(upgrade: Upgrade): TextSocket {
		const { request, socket, head } = upgrade.take();
		this.time = Math.trunc(this.#clock.monotonic());
		const opened = new TextSocket(this, socket);
		this.#sockets.add(opened);
		if (this.#sweep === null) this.#armSweep();
		socket.write(handshakeAnswer(request));
		opened.listen(head);
		return opened;
	}

	/** The same frame to many. */
	sendFrame(frame: Frame, to: Iterable<TextSocket>): void {
		for (const socket of to) socket.sendFrame(frame);
	}

	/** Cuts what is left. */
	close(): void {
		this.#sweep?.cancel();
		this.#soon?.cancel();
		for (const socket of [...this.#sockets, ...this.#closing.keys()]) socket.terminate();
	}

	/** For TextSocket alone. */
	patient(socket: TextSocket): void {
		this.#patient.push(socket);
		this.#soon ??= this.#clock.after(textSocketLimits.soonMs, () => {
			this.#soon = null;
			const patient = this.#patient;
			this.#patient = [];
			for (const each of patient) each.hurry();
		});
	}

	/** For TextSocket alone. */
	ending(socket: TextSocket, code: number): void {
		this.#closing.set(socket, this.#clock.monotonic() + textSocketLimits.closeMs);
		if (this.#sockets.delete(socket)) this.options.onClose(socket, code);
	}

	/** For TextSocket alone. */
	ended(socket: TextSocket): void {
		this.#closing.delete(socket);
		if (this.#sockets.delete(socket)) this.options.onClose(socket, 1006);
	}

	#armSweep(): void {
		this.#sweep = this.#clock.after(textSocketLimits.sweepMs, () => {
			const now = this.#clock.monotonic();
			this.time = Math.trunc(now);
			const share = Math.ceil((this.#sockets.size * textSocketLimits.sweepMs) / textSocketLimits.lapMs);
			for (let count = 0; count < share; count += 1) {
				this.#lap ??= this.#sockets.values();
				const next = this.#lap.next();
				if (next.done === true) {
					this.#lap = null;
					break;
				}
				next.value.beat(this.time);
			}
			for (const [socket, at] of this.#closing) {
				if (at > now) break;
				socket.terminate();
			}
			if (this.#sockets.size + this.#closing.size > 0) this.#armSweep();
			else this.#sweep = null;
		});
	}
}

/** One of many (`TextSockets`). */
export class TextSocket {
	readonly #all: TextSockets;
	readonly #socket: Duplex;
	readonly #reader: MessageReader;
	/** Whatever its user keeps with it: found without a search. */
	owner: object | null = null;
	/**
	 * Texts are framed where they are written. The first has a place of its own, and no list is made before a second comes: a
	 * list for each would be made in the old generation after a while, because some wait, and each of those would keep its
	 * text until the whole heap is marked.
	 */
	#first: Frame | string | null = null;
	#others: (Frame | string)[] | null = null;
	#pendingBytes = 0;
	/** At most so many bytes that were written wait for the reader; asked of the socket where it matters alone. */
	#unreadBytes = 0;
	/** The turn in which it was last sent a text of its own. */
	#turn = -1;
	/** All that is pending is texts of ASCII alone: their own characters are their bytes. */
	isPlain = true;
	/** A write is on its way. */
	#hurried = false;
	#state: "open" | "closing" | "closed" = "open";
	#heardAt: number;
	#pingedAt: number;

	constructor(all: TextSockets, socket: Duplex) {
		this.#all = all;
		this.#socket = socket;
		this.#heardAt = all.time;
		this.#pingedAt = all.time;
		this.#reader = new MessageReader(this, all.options.maxMessageBytes);
	}

	get isOpen(): boolean {
		return this.#state === "open";
	}

	/** For TextSockets alone. */
	listen(head: Buffer): void {
		const socket = this.#socket as Duplex & { setNoDelay?: (on: boolean) => void };
		socket.setNoDelay?.(true);
		socket.on("data", (chunk: Buffer) => {
			this.#heardAt = this.#all.time;
			this.#reader.read(chunk);
		});
		socket.once("end", () => socket.end());
		socket.once("close", () => {
			this.#state = "closed";
			this.takePending();
			this.#all.ended(this);
		});
		if (head.length > 0) this.#reader.read(head);
	}

	send(text: string): void {
		if (!this.#take(text, textFrameBytes(text))) return;
		const { writes } = this.#all;
		writes.counted(this.#turn === writes.turn);
		this.#turn = writes.turn;
		if (this.#hurried) return;
		this.#hurried = true;
		writes.addAlone(this);
	}

	/** What others are sent too. */
	sendFrame(frame: Frame): void {
		if (this.#take(frame, frame.length)) this.hurry();
	}

	/** In order with all the others, and in no hurry: a write of its own costs more than its bytes. */
	sendSoon(text: string): void {
		if (this.#take(text, textFrameBytes(text)) && this.#others === null) this.#all.patient(this);
	}

	/** @returns whether it is taken. */
	#take(frame: Frame | string, bytes: number): boolean {
		if (this.#state !== "open") return false;
		if (this.#isTooSlow(bytes)) {
			this.takePending();
			this.close(closeCodes.tooSlow, "too slow: the reader fell behind");
			return false;
		}
		this.#pendingBytes += bytes;
		if (typeof frame !== "string" || asciiFrameBytes(frame) !== bytes) this.isPlain = false;
		this.#push(frame);
		return true;
	}

	#push(frame: Frame | string): void {
		if (this.#first === null) this.#first = frame;
		else if (this.#others === null) this.#others = [frame];
		else this.#others.push(frame);
	}

	#isTooSlow(bytes: number): boolean {
		const room = this.#all.options.maxBufferedBytes - this.#pendingBytes - bytes;
		if (this.#unreadBytes <= room) return false;
		this.#unreadBytes = this.#socket.writableLength;
		return this.#unreadBytes > room;
	}

	/** For TextSockets alone. */
	hurry(): void {
		if (this.#hurried || this.#first === null) return;
		this.#hurried = true;
		this.#all.writes.add(this);
	}

	/** What was sent before still goes out; cut when the other side does not answer. Safe to call twice. */
	close(code: number, reason: string): void {
		this.#close(code, reason, code);
	}

	#close(code: number, reason: string, told: number): void {
		if (this.#state !== "open") return;
		this.#push(closeFrame(code, reason));
		this.#state = "closing";
		const pending = this.takePending();
		this.#socket.end(joinFrames(pending));
		this.#all.ending(this, told);
	}

	terminate(): void {
		this.#socket.destroy();
	}

	/** For TextSockets alone. */
	takePending(): readonly (Frame | string)[] {
		const first = this.#first;
		const others = this.#others;
		const pending = first === null ? none : others === null ? [first] : [first, ...others];
		this.#first = null;
		this.#others = null;
		this.#pendingBytes = 0;
		this.isPlain = true;
		this.#hurried = false;
		return pending;
	}

	/** For TextSockets alone. */
	write(bytes: Buffer | string): void {
		if (this.#state !== "open") return;
		if (typeof bytes === "string") this.#socket.write(bytes, "latin1");
		else this.#socket.write(bytes);
		this.#unreadBytes = this.#socket.writableLength;
	}

	/** For TextSockets alone. */
	beat(now: number): void {
		if (now - this.#heardAt >= textSocketLimits.silenceMs) return this.terminate();
		if (now - this.#heardAt < textSocketLimits.pingMs || now - this.#pingedAt < textSocketLimits.pingMs) return;
		this.#pingedAt = now;
		this.sendFrame(pingFrame);
	}

	onText(text: string): void {
		if (this.#state === "open") this.#all.options.onMessage(this, text);
	}

	onPing(payload: Buffer): void {
		if (this.#state === "open") this.sendFrame(controlFrame(0xa, payload));
	}

	onClose(code: number): void {
		this.#close(code === 1005 ? 1000 : code, "", code);
	}

	onFault(code: number, reason: string): void {
		this.close(code, reason);
	}
}

const none: readonly never[] = [];
const pingFrame = controlFrame(0x9, Buffer.alloc(0));

function controlFrame(opcode: number, payload: Uint8Array): Frame {
	return Buffer.concat([Buffer.from([0x80 | opcode, payload.length]), payload]);
}

function closeFrame(code: number, reason: string): Frame {
	let text = Buffer.from(reason);
	// A cut through a character would not be UTF-8.
	for (let length = reason.length; text.length > 123; length -= 1) text = Buffer.from(reason.slice(0, length));
	return controlFrame(0x8, Buffer.concat([Buffer.from([code >> 8, code & 0xff]), text]));
}
