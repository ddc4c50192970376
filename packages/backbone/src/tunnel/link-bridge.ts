import { frameLimits, type OpenRequest, ResetCode } from "../protocol/frames.ts";
import type { Pace } from "../server/pace.ts";
import { linkLost, type StreamUser, type TunnelLink } from "./link.ts";

/** UDP drops rather than waits. */
const maxDatagramBacklogBytes = frameLimits.maxDataBytes * 16;

/** What one link says is said to the other, for as long as both carry the same stream. */
class LinkBridge implements StreamUser {
	readonly #to: TunnelLink;
	readonly #from: TunnelLink;
	/** One frame is one datagram: it passes whole. */
	readonly #whole: boolean;
	/** Null = as fast as both sides can. */
	readonly #pace: Pace | null;
	#parts: Buffer[] = [];

	constructor(to: TunnelLink, from: TunnelLink, whole: boolean, pace: Pace | null) {
		this.#to = to;
		this.#from = from;
		this.#whole = whole;
		this.#pace = pace;
	}

	onData(piece: Buffer, last: boolean): void {
		if (!this.#whole) {
			if (!this.#to.write(piece)) this.#from.pause();
			this.#pace?.passed(piece.length, this.#from, () => {
				// The link may carry another stream by then.
				if (this.#from.user === this) this.#from.resume();
			});
			return;
		}
		this.#parts.push(piece);
		if (!last) return;
		const datagram = this.#parts.length === 1 ? piece : Buffer.concat(this.#parts);
		this.#parts = [];
		if (this.#to.bufferedBytes >= maxDatagramBacklogBytes || this.#pace?.admits(datagram.length) === false) return;
		this.#to.write(datagram);
	}

	onEnd(): void {
		this.#to.end();
	}

	onBroken(code: number, reason: string): void {
		this.#to.reset(code === linkLost ? ResetCode.targetLost : code, reason);
	}

	/** What was written to this side has gone out: the other one may say more. */
	onDrain(): void {
		this.#to.resume();
	}
}

/**
 * A stream that was opened and has no other side yet. What came in one piece with its OPEN is kept; the link is paused,
 * so that no more follows.
 */
export class WaitingStream implements StreamUser {
	readonly #from: TunnelLink;
	readonly #pieces: (readonly [Buffer, boolean])[] = [];
	#ended = false;
	#over = false;

	constructor(from: TunnelLink) {
		this.#from = from;
		from.user = this;
		from.pause();
	}

	/** Nobody is there to be answered any more. */
	get isOver(): boolean {
		return this.#over;
	}

	/** From now on it is the other link's. @param pace of both directions together; datagrams beyond it are dropped. */
	join(to: TunnelLink, open: OpenRequest, pace: Pace | null = null): void {
		const whole = open.kind === "udp";
		const bridge = new LinkBridge(to, this.#from, whole, pace);
		this.#from.user = bridge;
		to.open(open, new LinkBridge(this.#from, to, whole, pace));
		this.#from.resume();
		for (const [piece, last] of this.#pieces) bridge.onData(piece, last);
		if (this.#ended) bridge.onEnd();
	}

	onData(piece: Buffer, last: boolean): void {
		this.#pieces.push([piece, last]);
	}

	onEnd(): void {
		this.#ended = true;
	}

	onBroken(): void {
		this.#over = true;
	}

	onDrain(): void {}
}
