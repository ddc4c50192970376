import { type Clock, type Closeable, type HealthTable, type Logger, messageOf, type Timer } from "@warren/kernel";
import { type Kysely, sql } from "kysely";
import { storeConditions } from "./conditions.ts";

export const sharedClockLimits = {
	everyMs: 60_000,
	/** An answer that took longer says too little of when it was given. */
	maxTripMs: 2_000,
	/** Of several questions the one with the shortest trip counts; one this short is good enough by itself. */
	tries: 5,
	goodTripMs: 5,
	/** More than this between the machine's own clock and the database's is shown. */
	shownMs: 30_000,
} as const;

/**
 * The database's time of day, for instances that share its tables: what one of them dates, another judges, and their own
 * clocks may be minutes apart. Between two looks it goes on by the monotonic clock, whatever the machine's own does.
 */
export class SharedClock implements Clock, Closeable {
	readonly #db: Kysely<unknown>;
	readonly #own: Clock;
	readonly #logger: Logger;
	readonly #health: HealthTable;
	/** The database's time less the monotonic one. */
	#offset: number;
	#timer: Timer = { cancel() {} };
	#closed = false;

	private constructor(db: Kysely<unknown>, deps: SharedClockDeps) {
		this.#db = db;
		this.#own = deps.clock;
		this.#logger = deps.logger;
		this.#health = deps.health;
		this.#offset = deps.clock.now() - deps.clock.monotonic();
	}

	/** @param db of PostgreSQL. @throws WarrenError `store_away`. */
	static async open(db: Kysely<any>, deps: SharedClockDeps): Promise<SharedClock> {
		const clock = new SharedClock(db, deps);
		await clock.#look();
		clock.#arm();
		return clock;
	}

	now(): number {
		return Math.round(this.#own.monotonic() + this.#offset);
	}

	monotonic(): number {
		return this.#own.monotonic();
	}

	after(delayMs: number, action: () => void): Timer {
		return this.#own.after(delayMs, action);
	}

	close(): void {
		this.#closed = true;
		this.#timer.cancel();
		this.#health.clear(storeConditions.clockOff);
	}

	#arm(): void {
		if (this.#closed) return;
		this.#timer = this.#own.after(sharedClockLimits.everyMs, () => {
			this.#look()
				.catch((fault: unknown) => this.#logger.debug("the database's time is not known", { fault: messageOf(fault) }))
				.finally(() => this.#arm());
		});
	}

	async #look(): Promise<void> {
		let best: { readonly tripMs: number; readonly offset: number } | null = null;
		// The shortest trip says most: half of it is what the time may be off by.
		for (let tries = 0; tries < sharedClockLimits.tries; tries++) {
			const asked = this.#own.monotonic();
			const { rows } = await sql<{ now: number }>`
				select (extract(epoch from clock_timestamp()) * 1000)::bigint as now`.execute(this.#db);
			const tripMs = this.#own.monotonic() - asked;
			if (rows[0] !== undefined && tripMs < (best?.tripMs ?? sharedClockLimits.maxTripMs))
				best = { tripMs, offset: Number(rows[0].now) - (asked + tripMs / 2) };
			if (tripMs <= sharedClockLimits.goodTripMs) break;
		}
		if (best === null || this.#closed) return;
		this.#offset = best.offset;
		const off = this.#own.now() - this.now();
		if (Math.abs(off) <= sharedClockLimits.shownMs) this.#health.clear(storeConditions.clockOff);
		else this.#health.raise(storeConditions.clockOff, { seconds: String(Math.round(off / 1000)) });
	}
}

export interface SharedClockDeps {
	/** The machine's own. */
	readonly clock: Clock;
	readonly logger: Logger;
	readonly health: HealthTable;
}
