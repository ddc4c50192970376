import { once } from "node:events";
import { WebSocket } from "ws";
import * as Y from "yjs";
import { ackSubprotocol, type ClientFrame, decodeFrame, encodeStep1 } from "./protocol/index.ts";

/** Who comes: a user of the test's own hub, or whoever a token stands for; an empty one is none. */
export type WireVisitor = string | { readonly token: string; readonly headers?: Readonly<Record<string, string>> };

/** A socket without a document, for saying exactly what a test means to say. */
export class WireClient implements Disposable {
	readonly ws: WebSocket;
	readonly frames: ClientFrame[] = [];
	/** Everything heard, applied. */
	readonly doc = new Y.Doc();
	readonly closed: Promise<{ code: number; reason: string }>;
	readonly #waiting = new Set<() => void>();

	constructor(hubWsUrl: string, room: string, who: WireVisitor = "alice", protocol: string = ackSubprotocol) {
		const { token, headers = {} } = typeof who === "string" ? { token: `session-${who}` } : who;
		const bearer = token === "" ? [] : [`bearer.${token}`];
		this.ws = new WebSocket(`${hubWsUrl}/rooms/${room}/sync`, [protocol, "warren.v1", ...bearer], {
			headers,
			maxPayload: 512 * 1024 * 1024,
			// Who is closed before it said anything gets its code at once, and the end of the connection late.
			closeTimeout: 1_000,
		} as object);
		this.ws.on("error", () => {});
		this.ws.on("message", (data: Buffer) => {
			const frame = decodeFrame(new Uint8Array(data));
			if (frame.type === "error") throw new Error(frame.message);
			this.frames.push(frame);
			if (frame.type === "update") Y.applyUpdate(this.doc, frame.update);
			for (const check of this.#waiting) check();
		});
		this.closed = new Promise((resolve) => {
			this.ws.once("close", (code, reason) => resolve({ code, reason: reason.toString() }));
		});
	}

	get durable(): number {
		return this.frames.reduce((count, frame) => (frame.type === "durable" ? frame.count : count), 0);
	}

	/** Of the text that tests write. */
	get text(): string {
		return this.doc.getText("t").toJSON();
	}

	updates(): Uint8Array[] {
		return this.frames.flatMap((frame) => (frame.type === "update" ? [frame.update] : []));
	}

	async open(): Promise<this> {
		if (this.ws.readyState !== this.ws.OPEN) await once(this.ws, "open");
		return this;
	}

	/** Asks for the document, and waits for the end of its first sync. */
	async sync(stateVector: Uint8Array = new Uint8Array([0])): Promise<this> {
		await this.open();
		this.send(encodeStep1(stateVector));
		await this.until(() => this.frames.some((frame) => frame.type === "update" && frame.answer));
		return this;
	}

	send(message: Uint8Array): void {
		this.ws.send(message);
	}

	/** Asked after each message. */
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

	[Symbol.dispose](): void {
		this.ws.terminate();
	}
}
