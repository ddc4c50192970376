import { closeCodes } from "@warren/kernel";
import type { Frame, WebSocketConnection } from "@warren/net";
import { syncLimits } from "../protocol/index.ts";
import type { Outgoing } from "./outgoing.ts";
import { relayLimits } from "./relay-limits.ts";
import { SendTurns } from "./send-turns.ts";
import { closeReason, type SyncSocket } from "./sync-socket.ts";

/** A client's WebSocket. What is too much for one go waits as frames that all readers share, not in the socket. */
export class WebSocketSync implements SyncSocket {
	readonly #connection: WebSocketConnection;
	#waiting: Frame[] = [];
	/** Without what is of the document: that does not count against the reader. */
	#waitingBytes = 0;
	readonly #turns = new SendTurns(() => this.isBlocked);
	#sentBytes = 0;
	#closed = false;
	#onDrain: (() => void) | undefined;

	constructor(connection: WebSocketConnection) {
		this.#connection = connection;
		connection.onDrain(() => this.#pump());
	}

	get isBlocked(): boolean {
		return this.#waiting.length > 0 || this.#connection.bufferedBytes > syncLimits.maxLiveBufferedBytes;
	}

	get takenBytes(): number {
		return this.#sentBytes - this.#connection.bufferedBytes;
	}

	send(outgoing: Outgoing): boolean {
		if (this.#closed) return false;
		const frames = outgoing.frames();
		if (this.#waiting.length === 0 && frames.length === 1) {
			const frame = frames[0] as Frame;
			this.#sentBytes += frame.length;
			return this.#connection.writeFrame(frame) || !this.isBlocked;
		}
		// A first sync may be larger than what may wait: it is shared, and costs this reader only its place in the list.
		if (!outgoing.ofDocument) this.#waitingBytes += outgoing.bytes;
		if (this.#waitingBytes > relayLimits.maxWaitingBytes) {
			this.close(closeCodes.tooSlow, "too_slow", "the reader fell behind");
			return false;
		}
		for (const frame of frames) this.#waiting.push(frame);
		this.#pump();
		return !this.isBlocked;
	}

	inTurn(work: () => Promise<void>): void {
		if (!this.#closed) this.#turns.add(work);
	}

	close(code: number, error: string, message: string): void {
		this.#closed = true;
		this.#turns.clear();
		this.#waiting = [];
		void this.#connection.close(code, closeReason(error, message));
	}

	onMessage(handler: (message: Uint8Array) => void): void {
		this.#connection.onMessage((data, binary) => {
			if (binary) handler(data);
			else this.close(closeCodes.badRequest, "bad_request", "text is no sync message: send binary ones");
		});
	}

	onClose(handler: (clean: boolean) => void): void {
		this.#connection.onClose((code) => {
			this.#closed = true;
			this.#turns.clear();
			handler(code !== abnormal);
		});
	}

	onDrain(handler: () => void): void {
		this.#onDrain = handler;
	}

	#pump(): void {
		let next = 0;
		while (next < this.#waiting.length && this.#connection.bufferedBytes <= syncLimits.maxLiveBufferedBytes) {
			const frame = this.#waiting[next++] as Frame;
			this.#sentBytes += frame.length;
			this.#connection.sendFrame(frame);
		}
		if (next > 0) this.#waiting = this.#waiting.slice(next);
		if (this.#waiting.length > 0) return;
		this.#waitingBytes = 0;
		if (this.isBlocked) return;
		this.#onDrain?.();
		this.#turns.next();
	}
}

/** RFC 6455 §7.4.1: reported when no close frame came. */
const abnormal = 1006;
