import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Messages that have come, over all sockets. */
export const tally = { received: 0 };

/**
 * One mesh of the bench. All servers are driven by the same bare sockets, so that what is measured is the server: frames
 * are counted, not parsed, and a client's mask is zero.
 */
export abstract class PeerSocket {
	readonly socket: Socket;
	/** Messages of others that have come. */
	received = 0;
	/** Receipts that have come. */
	receipts = 0;
	/** Sees each message of others, where latency is measured. */
	onMessage: ((text: string) => void) | null = null;
	/** Called after a chunk was counted. */
	onProgress: (() => void) | null = null;
	#rest: Buffer = Buffer.alloc(0);
	#out: Buffer[] = [];

	constructor(port: number) {
		this.socket = connect(port, "127.0.0.1");
		this.socket.setNoDelay(true);
		this.socket.on("error", () => this.socket.destroy());
	}

	/** Resolves when the server has let it in. */
	abstract ready(): Promise<void>;
	abstract broadcast(payload: string): void;
	abstract relay(target: string, payload: string): void;
	/** @returns bytes that one whole message takes at `at`, 0 when it is not all there; counts it. */
	protected abstract take(bytes: Buffer, at: number): number;

	protected listen(): void {
		this.socket.on("data", (chunk: Buffer) => {
			const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
			let at = 0;
			for (let taken = this.take(bytes, 0); taken > 0 && at < bytes.length; ) {
				at += taken;
				taken = at < bytes.length ? this.take(bytes, at) : 0;
			}
			this.#rest = at === bytes.length ? empty : Buffer.from(bytes.subarray(at));
			this.onProgress?.();
		});
	}

	/** What is said within one turn goes out as one write. */
	protected write(bytes: Buffer): void {
		if (this.#out.push(bytes) > 1) return;
		setImmediate(() => {
			const out = this.#out;
			this.#out = [];
			if (!this.socket.destroyed) this.socket.write(out.length === 1 ? (out[0] as Buffer) : Buffer.concat(out));
		});
	}

	close(): void {
		this.socket.destroy();
	}
}

const empty = Buffer.alloc(0);

/** WebSocket clients: our gateway, the plain relay, socket.io. */
export abstract class WebSocketPeer extends PeerSocket {
	readonly #path: string;

	constructor(port: number, path: string) {
		super(port);
		this.#path = path;
	}

	protected abstract text(bytes: Buffer, from: number, to: number): void;

	protected async handshake(): Promise<void> {
		await once(this.socket, "connect");
		this.socket.write(
			`GET ${this.#path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==\r\n\r\n`,
		);
		let head = empty;
		while (!head.includes("\r\n\r\n")) head = Buffer.concat([head, (await once(this.socket, "data"))[0] as Buffer]);
		this.socket.unshift(head.subarray(head.indexOf("\r\n\r\n") + 4));
		this.listen();
	}

	protected say(text: string): void {
		const length = Buffer.byteLength(text);
		const head = length < 126 ? 6 : 8;
		const frame = Buffer.alloc(head + length);
		frame[0] = 0x81;
		if (length < 126) frame[1] = 0x80 | length;
		else {
			frame[1] = 0xfe;
			frame.writeUInt16BE(length, 2);
		}
		frame.write(text, head);
		this.write(frame);
	}

	protected take(bytes: Buffer, at: number): number {
		if (bytes.length - at < 2) return 0;
		let length = (bytes[at + 1] as number) & 0x7f;
		let from = at + 2;
		if (length === 126) {
			if (bytes.length - at < 4) return 0;
			length = bytes.readUInt16BE(at + 2);
			from = at + 4;
		} else if (length === 127) throw new Error("the bench sends nothing so long");
		if (bytes.length < from + length) return 0;
		if ((bytes[at] as number) === 0x81) this.text(bytes, from, from + length);
		return from + length - at;
	}
}
