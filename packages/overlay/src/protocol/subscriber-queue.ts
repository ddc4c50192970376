import type { Brand } from "@warren/kernel";
import type { OverlayPeerId } from "./peer-record.ts";

export type SubscriberId = Brand<number, "SubscriberId">;

export interface Subscriber {
	readonly id: SubscriberId;
	readonly viewer: OverlayPeerId;
	readonly patches: boolean;
	classKey: string;
	readonly queue: SubscriberQueue;
}

/** What waits for one reader, bounded: one that overflows is emptied, and its reader starts anew. */
export class SubscriberQueue {
	readonly #maxBytes: number;
	#frames: Buffer[] = [];
	#bytes = 0;
	#state: "open" | "overflowed" | "ended" = "open";

	constructor(maxBytes: number) {
		this.#maxBytes = maxBytes;
	}

	get overflowed(): boolean {
		return this.#state === "overflowed";
	}

	push(frame: Buffer): void {
		if (this.#state !== "open") return;
		if (this.#bytes + frame.length > this.#maxBytes) {
			this.#frames = [];
			this.#bytes = 0;
			this.#state = "overflowed";
			return;
		}
		this.#frames.push(frame);
		this.#bytes += frame.length;
	}

	/** Whatever waited is replaced; not bounded here. */
	replace(frames: Buffer[]): void {
		if (this.#state === "ended") return;
		this.#frames = frames;
		this.#bytes = 0;
		this.#state = "open";
	}

	reset(): void {
		if (this.#state !== "ended") this.replace([]);
	}

	end(last: Buffer): void {
		this.#frames.push(last);
		this.#state = "ended";
	}

	take(): { bytes: Buffer; end: boolean } | null {
		const end = this.#state !== "open";
		if (this.#frames.length === 0 && !end) return null;
		const bytes = this.#frames.length === 1 ? (this.#frames[0] as Buffer) : Buffer.concat(this.#frames);
		this.#frames = [];
		this.#bytes = 0;
		return { bytes, end };
	}
}
