import type { Clock, Timer } from "@warren/kernel";
import type { DurableStorage } from "./platform.ts";

/** Shorter timers keep the object in memory; that is what they are for. */
const maxTimerMs = 2_000;

/**
 * Time of one Durable Object. Long timers are the object's alarm, so that it can be put to sleep meanwhile: whoever wakes
 * up with an empty memory arms its own anew.
 */
export class ObjectClock implements Clock {
	readonly #storage: Pick<DurableStorage, "setAlarm">;
	readonly #later = new Map<symbol, { readonly at: number; readonly action: () => void }>();
	/** An earlier alarm than needed is harmless, and costs no write when a timer is put off. */
	#alarmAt = Number.POSITIVE_INFINITY;

	constructor(storage: Pick<DurableStorage, "setAlarm">) {
		this.#storage = storage;
	}

	now(): number {
		return Date.now();
	}

	/** Of the wall: an object that slept goes on where the platform's clock stands. */
	monotonic(): number {
		return Date.now();
	}

	after(delayMs: number, action: () => void): Timer {
		if (delayMs <= maxTimerMs) {
			const timer = setTimeout(action, delayMs);
			return { cancel: () => clearTimeout(timer) };
		}
		const key = Symbol("timer");
		this.#later.set(key, { at: Date.now() + delayMs, action });
		this.#arm();
		return { cancel: () => void this.#later.delete(key) };
	}

	/** For the object's alarm handler. */
	alarm(): void {
		this.#alarmAt = Number.POSITIVE_INFINITY;
		const now = Date.now();
		for (const [key, { at, action }] of this.#later) {
			if (at > now) continue;
			this.#later.delete(key);
			action();
		}
		this.#arm();
	}

	#arm(): void {
		const next = Math.min(...[...this.#later.values()].map((each) => each.at));
		if (next >= this.#alarmAt) return;
		this.#alarmAt = next;
		// A failing write breaks the object, and with it every socket: nobody goes on without their timers.
		void this.#storage.setAlarm(next);
	}
}
