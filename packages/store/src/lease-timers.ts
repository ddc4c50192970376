import type { Clock, Timer } from "@warren/kernel";

interface Lease {
	readonly revision: number;
	readonly endsAt: number;
	readonly timer: Timer;
}

/**
 * When the leases that this process has seen run out, on its own monotonic clock: a lease seen for the first time has
 * its whole life before it, so that no two machines need to agree on the time of day.
 */
export class LeaseTimers {
	readonly #clock: Clock;
	readonly #onOver: (key: string, revision: number) => void;
	readonly #leases = new Map<string, Lease>();
	constructor(clock: Clock, onOver: (key: string, revision: number) => void) {
		this.#clock = clock;
		this.#onOver = onOver;
	}

	/** @param ttlMs 0 = it stays. */
	seen(key: string, revision: number, ttlMs: number): void {
		const before = this.#leases.get(key);
		if (before !== undefined && before.revision >= revision) return;
		before?.timer.cancel();
		this.#leases.delete(key);
		if (ttlMs === 0) return;
		const timer = this.#clock.after(ttlMs, () => this.#onOver(key, revision));
		this.#leases.set(key, { revision, endsAt: this.#clock.monotonic() + ttlMs, timer });
	}

	isOver(key: string, revision: number): boolean {
		const lease = this.#leases.get(key);
		return lease !== undefined && lease.revision === revision && lease.endsAt <= this.#clock.monotonic();
	}

	gone(key: string, revision: number): void {
		const lease = this.#leases.get(key);
		if (lease === undefined || lease.revision > revision) return;
		lease.timer.cancel();
		this.#leases.delete(key);
	}

	close(): void {
		for (const { timer } of this.#leases.values()) timer.cancel();
		this.#leases.clear();
	}
}
