import { firstWindowBytes, laneLimits, maxWindowBytes } from "../protocol/lanes.ts";
import type { WindowBudget } from "./window-budget.ts";

/** What is less than this, a lane's first window lets through by itself. */
export const worthTellingBytes = 2 * firstWindowBytes;

/** Tells the other side of a lane that it may send so much more. */
export interface Granter {
	grant(bytes: number): void;
}

/**
 * How much the other side of a lane may send before its reader has taken it. It is granted anew as the reader takes, and
 * grows while the other side says that it is what holds it back, or how much is to come.
 */
export class ReceiveWindow {
	readonly #granter: Granter;
	readonly #budget: WindowBudget;
	/** How much may be on its way here or unread. */
	#bytes: number = firstWindowBytes;
	/** …of which the other side may still send so much. */
	#granted: number = firstWindowBytes;
	/** Taken by the reader, and not granted anew yet. */
	#taken = 0;
	/** What came and nobody has read, at its most since the other side was last held back. */
	#mostUnread = 0;
	/** So many bytes are known to come; 0 = nobody knows. */
	#expected = 0;
	/** So many bytes are to come until the other side has used what the window last grew by. */
	#growsAfter = 0;

	/** @param budget of what it grows by. */
	constructor(granter: Granter, budget: WindowBudget) {
		this.#granter = granter;
		this.#budget = budget;
	}

	get isFirst(): boolean {
		return this.#bytes === firstWindowBytes;
	}

	/** @returns false when it is more than was granted. */
	came(bytes: number): boolean {
		this.#granted -= bytes;
		this.#growsAfter -= bytes;
		if (this.#expected > 0) this.#expected = Math.max(0, this.#expected - bytes);
		return this.#granted >= 0;
	}

	/** The reader lets so much wait. */
	waits(unread: number): void {
		if (unread > this.#mostUnread) this.#mostUnread = unread;
	}

	/** The reader is given so much. */
	takes(bytes: number): void {
		this.#taken += bytes;
	}

	/** …and has dealt with it. */
	grantAnew(): void {
		if (this.#taken >= Math.min(this.#bytes / 2, laneLimits.maxGrantBytes)) this.#grant();
	}

	#grant(): void {
		const bytes = this.#taken;
		this.#taken = 0;
		this.#granted += bytes;
		this.#granter.grant(bytes);
	}

	/**
	 * The other side has more than the window lets through: a wider one helps, unless the reader itself is what holds it.
	 * What is known to come is let through at once then.
	 */
	blocked(unread: number): void {
		// Said before it knew of what it was given last.
		if (this.#growsAfter > 0) return;
		const waited = this.#mostUnread / this.#bytes;
		this.#mostUnread = unread;
		if (waited > 1 / 2) return;
		const next = laneLimits.windowBytes.find((bytes) => bytes > this.#bytes) ?? maxWindowBytes;
		const step = this.#expected > 0 ? maxWindowBytes : next;
		this.#widen(waited > 1 / 8 ? Math.min(this.#bytes * 2, step) : step);
	}

	/** So many bytes come next: before the other side is held back once, the window is as wide as sockets' own buffers. */
	expect(bytes: number, unread: number): void {
		if (bytes < worthTellingBytes) return;
		// Frames have heads.
		this.#expected = bytes + Math.ceil(bytes / 128);
		this.#mostUnread = unread;
		this.#widen(laneLimits.windowBytes[1]);
	}

	/** Nobody knows what comes next. */
	forget(): void {
		this.#expected = 0;
	}

	/** The lane is gone: what it grew by is others'. */
	close(): void {
		this.#budget.give(this.#bytes - firstWindowBytes);
	}

	/** No further than what is known to come. */
	#widen(window: number): void {
		const wanted = this.#expected > 0 ? Math.min(window, this.#expected) : window;
		if (wanted <= this.#bytes) return;
		const more = this.#budget.take(wanted - this.#bytes, this.#bytes - firstWindowBytes);
		if (more === 0) return;
		this.#bytes += more;
		this.#taken += more;
		this.#grant();
		this.#growsAfter = this.#granted;
	}
}
