import { createHash } from "node:crypto";
import { ResetCode } from "../../protocol/frames.ts";
import type { StreamUser } from "../../tunnel/link.ts";
import type { Lease } from "../agents/agent.ts";
import type { Pace } from "../pace.ts";
import type { ClientConnection } from "./client-connection.ts";

/** A WebSocket after its handshake: bytes, both ways, each direction with an end of its own. */
export class WebSocketSplice implements StreamUser {
	readonly #connection: ClientConnection;
	readonly #pace: Pace | null;
	#lease: Lease | null;
	#clientEnded = false;
	#serviceEnded = false;
	/** Coarse; the end of the URL token that opened it, or never. */
	readonly #until: number;

	constructor(connection: ClientConnection, lease: Lease, pace: Pace | null, until: number) {
		this.#connection = connection;
		this.#lease = lease;
		this.#pace = pace;
		this.#until = until;
		lease.link.user = this;
	}

	fromClient(bytes: Buffer): void {
		const { front, socket } = this.#connection;
		front.bytesIn += bytes.length;
		if (this.#lease?.link.write(bytes) === false) socket.pause();
		this.#pace?.passed(bytes.length, socket, () => {
			if (this.#connection.isOpen) socket.resume();
		});
	}

	/** A half-closed WebSocket is legal. */
	clientEnded(): void {
		this.#clientEnded = true;
		const link = this.#lease?.link;
		// Over both ways: the link is the next one's.
		if (this.#serviceEnded) this.#lease = null;
		link?.end();
	}

	clientDrained(): void {
		this.#connection.deadline = this.#until;
		this.#lease?.link.resume();
	}

	/** Lets go of the link. */
	cancel(reason: string): void {
		const lease = this.#lease;
		this.#lease = null;
		if (lease?.link.user === this) lease.link.reset(ResetCode.cancelled, reason);
	}

	onData(piece: Buffer): void {
		const { front, socket } = this.#connection;
		const link = this.#lease?.link;
		front.bytesOut += piece.length;
		if (!socket.write(piece)) {
			link?.pause();
			this.#connection.deadline = Math.min(this.#until, front.now + front.limits.idleTimeoutMs);
		}
		if (link === undefined || this.#pace === null) return;
		const waitMs = this.#pace.passed(piece.length, link, () => {
			if (link === this.#lease?.link) link.resume();
		});
		if (waitMs > 0) this.#connection.deadline = this.#until;
	}

	onEnd(): void {
		this.#serviceEnded = true;
		this.#connection.socket.end();
		if (this.#clientEnded) this.#lease = null;
	}

	onBroken(): void {
		this.#lease = null;
		this.#connection.cut();
	}

	onDrain(): void {
		const { socket } = this.#connection;
		if (socket.isPaused()) socket.resume();
	}
}

/** Whether an answer to an upgrade is the one to this very key (RFC 6455 §4.2.2). */
export function accepts(key: string | null, accept: string | null): boolean {
	if (key === null) return false;
	return accept === createHash("sha1").update(`${key}258EAFA5-E914-47DA-95CA-C5AB0DC85B11`).digest("base64");
}
