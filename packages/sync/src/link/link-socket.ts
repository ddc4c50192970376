import { decodeFrame, encodeAwareness, syncLimits } from "../protocol/index.ts";
import type { Outgoing } from "../relay/outgoing.ts";
import type { SyncSocket } from "../relay/sync-socket.ts";
import type { DocumentTransport } from "./hub-transport.ts";
import { LinkPresence } from "./link-presence.ts";

/**
 * The near end of a link: to the local room it is a client, to the hub it is one too. The protocol is the same both
 * ways, so what one says is handed to the other; only presence and acknowledgements are looked at.
 */
export class LinkSocket implements SyncSocket {
	readonly #connection: DocumentTransport;
	readonly #presence = new LinkPresence();
	readonly #onProgress: () => void;
	#sentBytes = 0;
	/** Updates sent up, and how many of them the hub has on disk. */
	sent = 0;
	durable = 0;
	/** The hub said that this user may not write. */
	denied: string | null = null;

	/** @param onProgress called when `durable` or `denied` changed. */
	constructor(connection: DocumentTransport, onProgress: () => void) {
		this.#connection = connection;
		this.#onProgress = onProgress;
	}

	get isBlocked(): boolean {
		return this.#connection.bufferedBytes > syncLimits.maxLiveBufferedBytes;
	}

	get takenBytes(): number {
		return this.#sentBytes - this.#connection.bufferedBytes;
	}

	send(outgoing: Outgoing): boolean {
		for (const message of outgoing.messages) {
			const frame = decodeFrame(message);
			if (frame.type === "awareness") {
				const payload = this.#presence.upward(frame.payload);
				if (payload !== null) this.#connection.send(encodeAwareness(payload));
				continue;
			}
			if (frame.type === "update") this.sent += 1;
			this.#sentBytes += message.length;
			this.#connection.send(message);
		}
		return !this.isBlocked;
	}

	inTurn(work: () => Promise<void>): void {
		void work();
	}

	/** The local room ends it: not the hub's fault, so the link tries again. */
	close(): void {
		void this.#connection.close();
	}

	onMessage(handler: (message: Uint8Array) => void): void {
		this.#connection.onMessage((data) => {
			const frame = decodeFrame(data);
			if (frame.type === "awareness") {
				const payload = this.#presence.downward(frame.payload);
				if (payload !== null) handler(encodeAwareness(payload));
			} else if (frame.type === "durable") {
				this.durable = frame.count;
				this.#onProgress();
			} else if (frame.type === "auth") {
				this.denied = frame.reason;
				this.#onProgress();
			} else handler(data);
		});
	}

	onClose(handler: (clean: boolean) => void): void {
		this.#connection.onClose((code) => handler(code !== 1006));
	}

	onDrain(handler: () => void): void {
		this.#connection.onDrain(handler);
	}
}
