import { type Clock, ExpiringMap } from "@warren/kernel";

/** Whose access ended: a whole person's, or one device's of theirs. */
export interface Ended {
	readonly userId: string;
	/** Null: all of the person's devices. */
	readonly deviceId: string | null;
}

/** Longer than a socket takes from the check of its session to its room. */
const keptMs = 60_000;
const maxKept = 10_000;

/** What ended a moment ago, for those who were let in just before. */
export class RecentEndings {
	readonly #at: ExpiringMap<string, number>;

	constructor(clock: Clock) {
		this.#at = new ExpiringMap(clock, maxKept);
	}

	/** @param at its place in the hub's own order. */
	add({ userId, deviceId }: Ended, at: number): void {
		this.#at.set(keyOf(userId, deviceId), at, keptMs);
	}

	/** Whether it ended at or after `at`. */
	has(userId: string, deviceId: string | null, at: number): boolean {
		const times = [
			this.#at.get(keyOf(userId, null)),
			deviceId === null ? undefined : this.#at.get(keyOf(userId, deviceId)),
		];
		return times.some((time) => time !== undefined && time >= at);
	}
}

function keyOf(userId: string, deviceId: string | null): string {
	return JSON.stringify([userId, deviceId]);
}
