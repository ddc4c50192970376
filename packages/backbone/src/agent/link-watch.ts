import type { Clock, Timer } from "@warren/kernel";
import type { TunnelLink } from "../tunnel/link.ts";

export const linkWatchLimits = {
	/** So long may the server say nothing before it is pinged. */
	silenceMs: 5_000,
	/** So long may it take to answer: what waits to go out before the ping is little for datagrams, and much for bulk. */
	datagramAnswerMs: 5_000,
	answerMs: 30_000,
} as const;

/**
 * Finds a visitor's link whose other end is gone without a word: TCP alone takes a quarter of an hour to notice that
 * what it sends reaches nobody. Ends by itself with the link.
 */
export class LinkWatch {
	readonly #clock: Clock;
	readonly #link: TunnelLink;
	readonly #answerMs: number;
	#timer: Timer | null = null;

	constructor(clock: Clock, link: TunnelLink, answerMs: number = linkWatchLimits.answerMs) {
		this.#clock = clock;
		this.#link = link;
		this.#answerMs = answerMs;
		this.#arm();
	}

	close(): void {
		this.#timer?.cancel();
	}

	#arm(): void {
		this.#timer = this.#clock.after(linkWatchLimits.silenceMs, () => this.#look());
	}

	#look(): void {
		const link = this.#link;
		if (!link.isOpen) return;
		const now = this.#clock.monotonic();
		if (link.heardAt > link.pingedAt) link.pingedAt = 0;
		// Where nobody reads here, a pong waits behind what is unread.
		if (link.pingedAt !== 0 && now - link.pingedAt >= this.#answerMs && !link.channel.isPaused())
			return link.close(`the backbone did not answer a ping within ${this.#answerMs} ms`);
		if (link.pingedAt === 0 && now - link.heardAt >= linkWatchLimits.silenceMs) link.ping();
		this.#arm();
	}
}
