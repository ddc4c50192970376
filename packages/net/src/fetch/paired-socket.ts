import { EventEmitter } from "node:events";

/** One end of a WebSocketPair, as Workers give it. */
export interface WorkerSocket {
	accept(): void;
	send(data: string | Uint8Array): void;
	close(code?: number, reason?: string): void;
	addEventListener(type: "message", listener: (event: { readonly data: string | ArrayBuffer }) => void): void;
	addEventListener(type: "close", listener: (event: { readonly code: number; readonly reason: string }) => void): void;
	addEventListener(type: "error", listener: (event: unknown) => void): void;
	readonly protocol?: string | null;
}

/**
 * A platform's WebSocket with the face of the `ws` library's, for WebSocketConnection. The platform itself watches
 * whether the other side lives: a ping is answered at once.
 */
export class PairedSocket extends EventEmitter {
	readonly OPEN = 1;
	readonly bufferedAmount = 0;
	readonly protocol: string;
	binaryType = "nodebuffer";
	readyState = 1;
	readonly #socket: WorkerSocket;
	readonly #maxMessageBytes: number;

	constructor(socket: WorkerSocket, protocol: string, maxMessageBytes: number) {
		super();
		this.#socket = socket;
		this.#maxMessageBytes = maxMessageBytes;
		this.protocol = protocol;
		socket.addEventListener("message", ({ data }) => this.#message(data));
		socket.addEventListener("close", ({ code, reason }) => {
			if (this.readyState === 1) this.#socket.close(answerable(code), reason);
			this.#closed(code, reason);
		});
		socket.addEventListener("error", () => this.#closed(abnormal, ""));
		socket.accept();
	}

	send(data: string | Uint8Array, done?: () => void): void {
		this.#socket.send(data);
		if (done !== undefined) queueMicrotask(done);
	}

	ping(): void {
		queueMicrotask(() => this.emit("pong"));
	}

	close(code = 1000, reason = ""): void {
		if (this.readyState !== 1) return;
		this.readyState = 2;
		this.#socket.close(code, reason);
		// The platform finishes the handshake by itself, and need not tell.
		queueMicrotask(() => this.#closed(code, reason));
	}

	terminate(): void {
		this.close(abnormalClosure, "");
	}

	/** There is no backpressure here that could be used. */
	pause(): void {}
	resume(): void {}

	#message(data: string | ArrayBuffer): void {
		const bytes = typeof data === "string" ? Buffer.from(data) : Buffer.from(data);
		if (bytes.length > this.#maxMessageBytes) return this.close(tooBig, "the message is too large");
		this.emit("message", bytes, typeof data !== "string");
	}

	#closed(code: number, reason: string): void {
		if (this.readyState === 3) return;
		this.readyState = 3;
		this.emit("close", code, Buffer.from(reason));
	}
}

/** RFC 6455 §7.4.1. */
const abnormal = 1006;
const tooBig = 1009;
const abnormalClosure = 1011;

/** Codes that only stand for the lack of one may not be sent. */
function answerable(code: number): number {
	return code === 1005 || code === 1006 || code === 1015 ? 1000 : code;
}
