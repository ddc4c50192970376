import { frameLimits, ResetCode } from "../protocol/frames.ts";
import { linkLost, type StreamUser, type TunnelLink } from "../tunnel/link.ts";

/** What one link says is said to the other, for as long as both carry the same stream. */
export class LinkBridge implements StreamUser {
	readonly #to: TunnelLink;
	readonly #from: TunnelLink;
	/** One frame is one datagram: it passes whole. */
	readonly #whole: boolean;
	#parts: Buffer[] = [];
	#bytes = 0;

	constructor(to: TunnelLink, from: TunnelLink, whole: boolean) {
		this.#to = to;
		this.#from = from;
		this.#whole = whole;
	}

	onData(piece: Buffer, last: boolean): void {
		if (!this.#whole) {
			if (!this.#to.write(piece)) this.#from.pause();
			return;
		}
		this.#parts.push(piece);
		this.#bytes += piece.length;
		if (!last) return;
		const datagram = this.#parts.length === 1 ? piece : Buffer.concat(this.#parts);
		this.#parts = [];
		this.#bytes = 0;
		// UDP drops rather than waits.
		if (this.#to.bufferedBytes < frameLimits.maxDataBytes * 16) this.#to.write(datagram);
	}

	onEnd(): void {
		this.#to.end();
	}

	onBroken(code: number, reason: string): void {
		this.#to.reset(code === linkLost ? ResetCode.targetLost : code, reason);
	}

	onDrain(): void {
		this.#from.resume();
	}
}
