import { ackSubprotocol, decodeFrame, encodeStep1, encodeStep2, encodeUpdate } from "@warren/sync/protocol";
import { WebSocket } from "ws";
import * as Y from "yjs";

/**
 * A client that knows what was promised to it: asks for acknowledgements, comes back at the next instance when its socket
 * closes, offers again what was not acknowledged, and notices what is delivered twice.
 */
export class SyncClient implements Disposable {
	readonly doc = new Y.Doc();
	/** Keys that a hub said are on disk. */
	readonly acknowledged = new Set<string>();
	/** Live updates that came a second time on one connection. */
	duplicates = 0;
	readonly closes: number[] = [];
	readonly #origins: readonly string[];
	readonly #token: string;
	readonly #dial: object;
	readonly #room: string;
	#at: number;
	#ws: WebSocket | undefined;
	/** Keys by message of this connection, in order. */
	#sent: string[][] = [];
	#durable = 0;
	#live = false;
	#seen = new Set<string>();
	readonly #pending = new Set<string>();
	readonly #waiting = new Set<() => void>();
	#ended = false;
	#retry: NodeJS.Timeout | undefined;

	/** @param dial how a socket is opened: whom to trust, and where a name leads. */
	constructor(origins: readonly string[], at: number, room: string, token: string, dial: object = {}) {
		this.#dial = dial;
		this.#origins = origins;
		this.#at = at;
		this.#room = room;
		this.#token = token;
		this.#connect();
	}

	/** Written and offered now, or at the next connection. */
	set(key: string): void {
		let made: Uint8Array | undefined;
		this.doc.once("update", (each: Uint8Array) => {
			made = each;
		});
		this.doc.getMap("m").set(key, key);
		this.#pending.add(key);
		if (!this.#live || made === undefined) return;
		this.#sent.push([key]);
		this.#ws?.send(encodeUpdate(made));
	}

	get unacknowledged(): number {
		return this.#pending.size;
	}

	get keys(): Set<string> {
		return new Set(this.doc.getMap("m").keys());
	}

	/** Asked after each message and close. */
	until(holds: () => boolean): Promise<void> {
		return new Promise((resolve) => {
			const check = () => {
				if (!holds()) return;
				this.#waiting.delete(check);
				resolve();
			};
			this.#waiting.add(check);
			check();
		});
	}

	/** Ends this socket as a move to another instance would. */
	reconnect(): void {
		this.#ws?.terminate();
	}

	[Symbol.dispose](): void {
		this.#ended = true;
		clearTimeout(this.#retry);
		this.#ws?.terminate();
		this.doc.destroy();
	}

	#connect(): void {
		const origin = (this.#origins[this.#at % this.#origins.length] as string).replace("http", "ws");
		this.#at += 1;
		const ws = new WebSocket(
			`${origin}/rooms/${this.#room}/sync`,
			[ackSubprotocol, "warren.v1", `bearer.${this.#token}`],
			{
				handshakeTimeout: 5_000,

				...this.#dial,
			},
		);
		this.#ws = ws;
		[this.#sent, this.#durable, this.#live, this.#seen] = [[], 0, false, new Set()];
		ws.on("error", () => {});
		ws.on("open", () => ws.send(encodeStep1(Y.encodeStateVector(this.doc))));
		ws.on("message", (data: Buffer) => {
			if (ws !== this.#ws) return;
			this.#receive(new Uint8Array(data), ws);
			for (const check of [...this.#waiting]) check();
		});
		ws.on("close", (code) => {
			if (ws !== this.#ws || this.#ended) return;
			this.closes.push(code);
			this.#live = false;
			for (const check of [...this.#waiting]) check();
			if (code >= 4400 && code < 4500) return;
			this.#retry = setTimeout(() => this.#connect(), 50 + Math.random() * 100);
		});
	}

	#receive(message: Uint8Array, ws: WebSocket): void {
		const frame = decodeFrame(message);
		if (frame.type === "step1") {
			// What the hub lacks, as one message; everything that was not promised is in it.
			this.#sent.push([...this.#pending]);
			this.#live = true;
			ws.send(encodeStep2(Y.encodeStateAsUpdate(this.doc, frame.stateVector)));
		} else if (frame.type === "update") {
			const text = Buffer.from(frame.update).toString("base64");
			if (frame.update.length > 2) {
				if (this.#seen.has(text)) this.duplicates += 1;
				this.#seen.add(text);
			}
			Y.applyUpdate(this.doc, frame.update, "hub");
		} else if (frame.type === "durable") {
			for (; this.#durable < frame.count; this.#durable++) {
				for (const key of this.#sent[this.#durable] ?? []) {
					this.#pending.delete(key);
					this.acknowledged.add(key);
				}
			}
		}
	}
}
