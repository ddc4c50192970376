import type { Duplex } from "node:stream";
import { type Clock, type Closeable, closeCodes, type Timer } from "@warren/kernel";
import type WebSocket from "ws";
import { encodeFrame, type Frame } from "./frame.ts";
import { TurnWrites } from "./turn-writes.ts";

export interface AcceptOptions {
	/** Largest message taken from the other side; a larger one closes 1009. 1 MiB unless told. */
	readonly maxMessageBytes?: number;
	/** Bytes that may wait for a slow reader; above it the connection closes 1013. 8 MiB unless told. */
	readonly maxBufferedBytes?: number;
	/**
	 * `now`: each send is written before control returns to the event loop (terminals).
	 * `tick`: sends of one turn of the event loop go out as one write (fan-out).
	 */
	readonly flush?: "now" | "tick";
	/** Subprotocols that the route speaks beside `warren.v1`: the first of them that the client offers is agreed on. */
	readonly subprotocols?: readonly string[];
}

/** What became of a send. `overflow` also closes the connection with 1013: nothing is dropped in silence. */
export type SendOutcome = "sent" | "closed" | "overflow";

export const webSocketLimits = {
	maxMessageBytes: 1024 * 1024,
	maxBufferedBytes: 8 * 1024 * 1024,
	/** A ping goes out this often… */
	pingMs: 20_000,
	/** …and whoever stays silent for this long is gone. */
	silenceMs: 45_000,
	/** How long the other side may take to answer a close. */
	closeMs: 3_000,
} as const;

/**
 * One WebSocket, either side. Server sides frame and batch their own writes (a frame may be shared by many); client
 * sides write through the library, which masks. Heartbeat and watchdog run from the start.
 */
export class WebSocketConnection implements Closeable {
	readonly remoteAddress: string;
	readonly #ws: WebSocket;
	/** Null on client sides. */
	readonly #socket: Duplex | null;
	readonly #clock: Clock;
	readonly #maxBufferedBytes: number;
	/** Null = before control returns to the event loop. */
	readonly #turn: TurnWrites | null;
	readonly #write = () => this.#writePending();
	#pending: Buffer[] = [];
	#pendingBytes = 0;
	#flushScheduled = false;
	#paused = false;
	#heardAt: number;
	/** What had come in on the socket when something was last heard. */
	#heardBytes = 0;
	#heartbeat: Timer | undefined;
	#closed = false;
	#drainWatched = false;
	#onDrain: (() => void) | undefined;
	readonly #closedPromise: Promise<void>;

	/** @param turn shared by the connections of one listener. */
	constructor(
		ws: WebSocket,
		socket: Duplex | null,
		remoteAddress: string,
		clock: Clock,
		options: AcceptOptions,
		turn: TurnWrites = new TurnWrites(),
	) {
		this.#ws = ws;
		this.#socket = socket;
		this.remoteAddress = remoteAddress;
		this.#clock = clock;
		this.#maxBufferedBytes = options.maxBufferedBytes ?? webSocketLimits.maxBufferedBytes;
		this.#turn = options.flush === "tick" ? turn : null;
		this.#heardAt = clock.monotonic();
		this.#heardBytes = this.#bytesRead();
		ws.binaryType = "nodebuffer";
		const heard = () => this.#heard();
		ws.on("message", heard);
		ws.on("pong", heard);
		ws.on("ping", heard);
		// The library reports protocol faults here and then closes with the fitting code by itself.
		ws.on("error", () => {});
		this.#closedPromise = new Promise((resolve) => {
			ws.once("close", () => {
				this.#closed = true;
				this.#heartbeat?.cancel();
				this.#pending = [];
				this.#pendingBytes = 0;
				resolve();
			});
		});
		this.#armHeartbeat();
	}

	get isOpen(): boolean {
		return !this.#closed && this.#ws.readyState === this.#ws.OPEN;
	}

	/** Bytes accepted by `send` that the kernel has not taken yet. */
	get bufferedBytes(): number {
		return this.#pendingBytes + (this.#socket === null ? this.#ws.bufferedAmount : this.#socket.writableLength);
	}

	/** The subprotocol that was agreed on, or empty. */
	get protocol(): string {
		return this.#ws.protocol;
	}

	/**
	 * `data` is only valid during the call: copy what must last. Nothing comes after `close` was called here: whoever was
	 * signed out is not listened to until the other side agrees.
	 */
	onMessage(handler: (data: Buffer, binary: boolean) => void): void {
		this.#ws.on("message", (data, binary) => {
			if (this.isOpen) handler(data as Buffer, binary);
		});
	}

	/** Called once, also for connections that were cut (1006). */
	onClose(handler: (code: number, reason: string) => void): void {
		this.#ws.once("close", (code, reason) => handler(code, reason.toString("utf8")));
	}

	/** Called when everything buffered has gone out. */
	onDrain(handler: () => void): void {
		this.#onDrain = handler;
	}

	send(payload: Uint8Array | string): SendOutcome {
		if (this.#socket !== null) return this.sendFrame(encodeFrame(payload));
		if (!this.isOpen) return "closed";
		if (this.bufferedBytes > this.#maxBufferedBytes) return this.#overflow();
		this.#ws.send(payload, () => {
			if (this.bufferedBytes === 0) this.#onDrain?.();
		});
		return "sent";
	}

	/** Sends a frame that was built once for many receivers. Server sides only. */
	sendFrame(frame: Frame): SendOutcome {
		if (!this.isOpen) return "closed";
		if (this.bufferedBytes + frame.length > this.#maxBufferedBytes) return this.#overflow();
		this.#pending.push(frame);
		this.#pendingBytes += frame.length;
		if (!this.#flushScheduled) {
			this.#flushScheduled = true;
			if (this.#turn === null) queueMicrotask(this.#write);
			else this.#turn.add(this.#write);
		}
		return "sent";
	}

	/**
	 * The same for a frame that is a batch already: written at once, while what belongs to this connection is near, and
	 * after what waits.
	 * @returns whether the kernel took everything.
	 */
	writeFrame(frame: Frame): boolean {
		const socket = this.#socket;
		if (this.#flushScheduled || socket === null || !this.isOpen || socket.writableLength > 0) {
			this.sendFrame(frame);
			return false;
		}
		if (socket.write(frame)) return true;
		this.#watchDrain(socket);
		return false;
	}

	/** Whether `pause` was called last, and not `resume`. */
	get isPaused(): boolean {
		return this.#paused;
	}

	/** Stops reading from the other side: backpressure reaches it through TCP. */
	pause(): void {
		this.#paused = true;
		this.#ws.pause();
	}

	resume(): void {
		this.#paused = false;
		this.#heard();
		this.#ws.resume();
	}

	/** Closing handshake; cut after a short while when the other side does not answer. Safe to call twice. */
	close(code = 1000, reason = ""): Promise<void> {
		if (!this.#closed) {
			this.#writePending();
			this.#ws.close(code, cutUtf8(reason, maxCloseReasonBytes));
			const cut = this.#clock.after(webSocketLimits.closeMs, () => this.#ws.terminate());
			this.#ws.once("close", () => cut.cancel());
		}
		return this.#closedPromise;
	}

	/** No handshake: the socket is gone at once. */
	terminate(): void {
		this.#ws.terminate();
	}

	#writePending(): void {
		this.#flushScheduled = false;
		const socket = this.#socket;
		if (socket === null || this.#pending.length === 0) return;
		const pending = this.#pending;
		this.#pendingBytes = 0;
		if (!this.isOpen || socket.destroyed) {
			this.#pending = [];
			return;
		}
		let flowing: boolean;
		// The usual case; the list stays for the next one.
		if (pending.length === 1) flowing = socket.write(pending.pop());
		else {
			this.#pending = [];
			socket.cork();
			flowing = true;
			for (const frame of pending) flowing = socket.write(frame);
			socket.uncork();
		}
		if (!flowing) this.#watchDrain(socket);
	}

	#watchDrain(socket: Duplex): void {
		if (this.#drainWatched) return;
		this.#drainWatched = true;
		socket.once("drain", () => {
			this.#drainWatched = false;
			this.#onDrain?.();
		});
	}

	#overflow(): SendOutcome {
		// Not the pending frames: the reader would not take them either.
		this.#pending = [];
		this.#pendingBytes = 0;
		void this.close(closeCodes.tooSlow, "too slow: the reader fell behind");
		return "overflow";
	}

	#armHeartbeat(): void {
		const silentForMs = this.#clock.monotonic() - this.#heardAt;
		const waitMs = Math.min(webSocketLimits.pingMs, Math.max(0, webSocketLimits.silenceMs - silentForMs));
		this.#heartbeat = this.#clock.after(waitMs, () => {
			if (this.#closed) return;
			if (this.#clock.monotonic() - this.#heardAt >= webSocketLimits.silenceMs) {
				// A message that takes long to arrive is no silence, and neither is a side that we have stopped reading.
				if (!this.#paused && this.#bytesRead() === this.#heardBytes) return void this.#ws.terminate();
				this.#heard();
			}
			if (this.isOpen) this.#ws.ping();
			this.#armHeartbeat();
		});
	}

	#heard(): void {
		this.#heardAt = this.#clock.monotonic();
		this.#heardBytes = this.#bytesRead();
	}

	#bytesRead(): number {
		return (this.#socket as { bytesRead?: number } | null)?.bytesRead ?? 0;
	}
}

/** RFC 6455 §5.5: a control frame carries at most 125 bytes, two of them the code. */
const maxCloseReasonBytes = 123;

function cutUtf8(text: string, maxBytes: number): string {
	let cut = text;
	while (Buffer.byteLength(cut) > maxBytes) cut = cut.slice(0, Math.min(cut.length - 1, maxBytes));
	return cut;
}
