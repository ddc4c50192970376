import { specification } from "./constants.ts";
import type { TransportKey } from "./primitives.ts";
import { ReplayWindow } from "./replay-window.ts";

/** The keys of one session. */
export interface Keypair<P> {
	readonly peer: P;
	readonly isInitiator: boolean;
	readonly localIndex: number;
	readonly remoteIndex: number;
	readonly send: TransportKey;
	readonly receive: TransportKey;
	readonly window: ReplayWindow;
	/** Monotonic, ms. */
	readonly createdAt: number;
	/** How far the wall clock was ahead of the monotonic one then, ms. */
	readonly clockDistance: number;
	nextCounter: number;
}

export function newKeypair<P>(parts: Omit<Keypair<P>, "window" | "nextCounter">): Keypair<P> {
	return { ...parts, window: new ReplayWindow(), nextCounter: 0 };
}

/** Whether a message may still be sent or taken under it. */
export function isUsable<P>(keypair: Keypair<P>, now: number): boolean {
	return (
		now - keypair.createdAt < specification.rejectAfterMs && keypair.nextCounter < specification.rejectAfterMessages
	);
}

/**
 * ```
 *        response received (initiator)             authenticated data received (responder)
 *   ─────────────► current, old one → previous      next → current, old one → previous
 *        response sent (responder)
 *   ─────────────► next (the old next is erased)
 * ```
 * Whoever leaves its slot is erased by `drop`.
 */
export class KeypairSlots<P> {
	previous: Keypair<P> | null = null;
	current: Keypair<P> | null = null;
	next: Keypair<P> | null = null;
	readonly #drop: (keypair: Keypair<P>) => void;

	constructor(drop: (keypair: Keypair<P>) => void) {
		this.#drop = drop;
	}

	/** A session that this side began: it may send at once. */
	addInitiated(keypair: Keypair<P>): void {
		if (this.next !== null) {
			// The peer's session, made meanwhile and not yet confirmed, may still bring packets.
			this.#replacePrevious(this.next);
			this.next = null;
			if (this.current !== null) this.#drop(this.current);
		} else this.#replacePrevious(this.current);
		this.current = keypair;
	}

	/** A session that the peer began: it waits for the peer's first data. */
	addAnswered(keypair: Keypair<P>): void {
		if (this.next !== null) this.#drop(this.next);
		this.next = keypair;
		this.#replacePrevious(null);
	}

	/** Authenticated data came under `keypair`. True = it was the waiting one and is current now. */
	confirm(keypair: Keypair<P>): boolean {
		if (keypair !== this.next) return false;
		this.#replacePrevious(this.current);
		this.current = keypair;
		this.next = null;
		return true;
	}

	clear(): void {
		this.keep(() => false);
	}

	/** Drops the others. @returns whether any is left. */
	keep(isKept: (keypair: Keypair<P>) => boolean): boolean {
		const left = (keypair: Keypair<P> | null): Keypair<P> | null => {
			if (keypair === null || isKept(keypair)) return keypair;
			this.#drop(keypair);
			return null;
		};
		this.previous = left(this.previous);
		this.current = left(this.current);
		this.next = left(this.next);
		return (this.previous ?? this.current ?? this.next) !== null;
	}

	#replacePrevious(keypair: Keypair<P> | null): void {
		if (this.previous !== null) this.#drop(this.previous);
		this.previous = keypair;
	}
}
