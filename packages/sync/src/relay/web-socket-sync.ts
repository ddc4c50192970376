import { closeCodes } from "@warren/kernel";
import type { Frame, WebSocketConnection } from "@warren/net";
import { syncLimits } from "../protocol/index.ts";
import type { Outgoing } from "./outgoing.ts";
import { relayLimits } from "./relay-limits.ts";
import { closeReason, type SyncSocket } from "./sync-socket.ts";

/** A client's WebSocket. What is too much for one go waits as frames that all readers share, not in the socket. */
export class WebSocketSync implements SyncSocket {
	readonly #connection: WebSocketConnection;
	#waiting: Frame[] = [];
	#waitingBytes = 0;
	/** Of what waits, what belongs to a large message already begun: it does not count against the reader. */
	#onDrain: (() => void) | undefined;

	constructor(connection: WebSocketConnection) {
		this.#connection = connection;
		connection.onDrain(() => this.#pump());
	}

	get isBlocked(): boolean {
		return this.#waiting.length > 0 || this.#connection.bufferedBytes > syncLimits.maxLiveBufferedBytes;
	}

	send(outgoing: Outgoing): boolean {
		const frames = outgoing.frames();
		if (this.#waiting.length === 0 && frames.length === 1)
			return this.#connection.writeFrame(frames[0] as Frame) || !this.isBlocked;
		// A first sync may be larger than what may wait: it is shared, and costs this reader only its place in the list.
		const shared = outgoing.bytes > relayLimits.fragmentBytes;
		if (!shared) this.#waitingBytes += outgoing.bytes;
		if (this.#waitingBytes > relayLimits.maxWaitingBytes) {
			this.close(closeCodes.tooSlow, "too_slow", "the reader fell behind");
			return false;
		}
		for (const frame of frames) this.#waiting.push(frame);
		this.#pump();
		return !this.isBlocked;
	}

	close(code: number, error: string, message: string): void {
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
		this.#connection.onClose((code) => handler(code !== abnormal));
	}

	onDrain(handler: () => void): void {
		this.#onDrain = handler;
	}

	#pump(): void {
		let next = 0;
		while (next < this.#waiting.length && this.#connection.bufferedBytes <= syncLimits.maxLiveBufferedBytes) {
			this.#connection.sendFrame(this.#waiting[next++] as Frame);
		}
		if (next > 0) this.#waiting = this.#waiting.slice(next);
		if (this.#waiting.length > 0) return;
		this.#waitingBytes = 0;
		if (!this.isBlocked) this.#onDrain?.();
	}
}

/** RFC 6455 §7.4.1: reported when no close frame came. */
const abnormal = 1006;
