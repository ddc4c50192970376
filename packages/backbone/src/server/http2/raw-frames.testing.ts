import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** Frame types of RFC 9113 §6. */
export const frameTypes = {
	data: 0,
	headers: 1,
	priority: 2,
	reset: 3,
	settings: 4,
	push: 5,
	ping: 6,
	goAway: 7,
	windowUpdate: 8,
	continuation: 9,
} as const;
export const flags = { endStream: 1, ack: 1, endHeaders: 4 } as const;

export interface RawFrame {
	readonly type: number;
	readonly flags: number;
	readonly stream: number;
	readonly payload: Buffer;
}

export function frame(type: number, frameFlags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
	const head = Buffer.alloc(9);
	head.writeUIntBE(payload.length, 0, 3);
	head[3] = type;
	head[4] = frameFlags;
	head.writeUInt32BE(stream, 5);
	return Buffer.concat([head, payload]);
}

/** HPACK without table and Huffman: literal fields, never indexed (RFC 7541 §6.2.3). */
export function fields(list: readonly (readonly [string, string])[]): Buffer {
	const text = (value: string) => Buffer.concat([length(value.length), Buffer.from(value, "latin1")]);
	return Buffer.concat(list.flatMap(([name, value]) => [Buffer.from([0x10]), text(name), text(value)]));
}

/** RFC 7541 §5.1 with a prefix of seven bits. */
function length(value: number): Buffer {
	if (value < 127) return Buffer.from([value]);
	const bytes = [127];
	let rest = value - 127;
	for (; rest >= 128; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
	return Buffer.from([...bytes, rest]);
}

export const requestFields = (authority: string, more: readonly (readonly [string, string])[] = []) =>
	fields([[":method", "GET"], [":scheme", "http"], [":path", "/"], [":authority", authority], ...more]);

/** HTTP/2 by hand, without a library that would not send what a test wants to send. */
export class RawHttp2 implements Disposable {
	readonly frames: RawFrame[] = [];
	readonly closed: Promise<unknown>;
	readonly #socket: Socket;
	#seen = Buffer.alloc(0);
	#heard: (() => void) | null = null;
	#over = false;

	private constructor(socket: Socket) {
		this.#socket = socket;
		socket.on("error", () => {});
		socket.on("data", (bytes: Buffer) => this.#read(bytes));
		this.closed = new Promise<void>((resolve) => socket.once("close", () => resolve())).then(() => {
			this.#over = true;
			this.#heard?.();
		});
	}

	/** Preface and SETTINGS are sent. */
	static async open(port: number): Promise<RawHttp2> {
		const socket = connect(port, "127.0.0.1").setNoDelay(true);
		await once(socket, "connect");
		const raw = new RawHttp2(socket);
		raw.send(Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "latin1"), frame(frameTypes.settings, 0, 0));
		return raw;
	}

	send(...bytes: readonly Buffer[]): void {
		if (!this.#over && this.#socket.writable) this.#socket.write(Buffer.concat(bytes));
	}

	/** @returns the first frame that fits; null when the connection ends before. */
	async until(fits: (each: RawFrame) => boolean): Promise<RawFrame | null> {
		for (;;) {
			const found = this.frames.find(fits);
			if (found !== undefined || this.#over) return found ?? null;
			await new Promise<void>((resolve) => (this.#heard = resolve));
		}
	}

	[Symbol.dispose](): void {
		this.#socket.destroy();
	}

	#read(bytes: Buffer): void {
		this.#seen = Buffer.concat([this.#seen, bytes]);
		while (this.#seen.length >= 9 && this.#seen.length >= 9 + this.#seen.readUIntBE(0, 3)) {
			const size = this.#seen.readUIntBE(0, 3);
			const type = this.#seen[3] as number;
			const frameFlags = this.#seen[4] as number;
			const stream = this.#seen.readUInt32BE(5);
			this.frames.push({ type, flags: frameFlags, stream, payload: Buffer.from(this.#seen.subarray(9, 9 + size)) });
			this.#seen = this.#seen.subarray(9 + size);
			if (type === frameTypes.settings && (frameFlags & flags.ack) === 0)
				this.send(frame(frameTypes.settings, flags.ack, 0));
		}
		this.#heard?.();
	}
}
