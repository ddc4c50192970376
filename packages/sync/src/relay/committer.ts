import type { Clock, Closeable, HealthTable, Logger } from "@warren/kernel";
import { messageOf, WarrenError } from "@warren/kernel";
import { syncConditions } from "../conditions.ts";
import type { UpdateLog } from "../log/update-log.ts";
import type { LoggedUpdate, PendingUpdate } from "../protocol/index.ts";
import { FlushWindow } from "./flush-window.ts";
import type { relayLimits } from "./relay-limits.ts";

/** Faults that no single room is to blame for. After `store_away` it may have been written: a second try would be a second time. */
const isEverybodys = new Set(["store_full", "store_away"]);

/** A room, as the committer sees it. */
export interface CommitTarget {
	readonly room: string;
	committed(updates: readonly LoggedUpdate[]): void;
	rejected(pending: readonly PendingUpdate[], message: string): void;
}

export interface CommitterDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly health?: HealthTable;
}

/** Gathers what all rooms have to write into one transaction a window: an fsync for everybody. */
export class Committer implements Closeable {
	readonly #log: UpdateLog;
	readonly #clock: Clock;
	readonly #logger: Logger;
	readonly #health: HealthTable | undefined;
	readonly #window: FlushWindow;
	#waiting = new Map<CommitTarget, PendingUpdate[]>();
	#running: Promise<void> | null = null;
	#scheduled = false;

	constructor(log: UpdateLog, deps: CommitterDeps, limits: typeof relayLimits) {
		this.#log = log;
		this.#clock = deps.clock;
		this.#logger = deps.logger;
		this.#health = deps.health;
		this.#window = new FlushWindow(limits);
	}

	add(target: CommitTarget, pending: PendingUpdate): void {
		const batch = this.#waiting.get(target);
		if (batch === undefined) this.#waiting.set(target, [pending]);
		else batch.push(pending);
		this.#schedule();
	}

	/** Commits what waits now, and what comes meanwhile. */
	async flush(): Promise<void> {
		while (this.#running !== null || this.#waiting.size > 0) await this.#flushOnce();
	}

	/** Resolves when the commit that is on its way now has ended; at once when there is none. */
	async settled(): Promise<void> {
		await this.#running;
	}

	close(): Promise<void> {
		return this.flush();
	}

	#schedule(): void {
		if (this.#scheduled || this.#running !== null || this.#waiting.size === 0) return;
		this.#scheduled = true;
		const flush = () => {
			this.#scheduled = false;
			void this.#flushOnce();
		};
		const delayMs = this.#window.delayMs(this.#clock.monotonic());
		if (delayMs > 0) this.#clock.after(delayMs, flush);
		// The rest of this turn's messages come along.
		else setImmediate(flush);
	}

	/** What comes while it is written and told waits for the next window: at once after this flush it would come alone. */
	#flushOnce(): Promise<void> {
		this.#running ??= this.#commit().finally(() => {
			this.#running = null;
			this.#schedule();
		});
		return this.#running;
	}

	async #commit(): Promise<void> {
		const startedAt = this.#clock.monotonic();
		const batches = [...this.#waiting];
		this.#waiting = new Map();
		const failure = await this.#write(batches);
		// One room's fault must not be every room's: each gets a try of its own.
		if (failure !== null && batches.length > 1 && !isEverybodys.has(failure.code)) {
			for (const batch of batches) {
				const alone = await this.#write([batch]);
				if (alone !== null) this.#reject([batch], alone);
			}
		} else if (failure !== null) this.#reject(batches, failure);
		// Sockets write at the end of a turn: what it cost to tell everybody counts, too.
		await endOfTurn();
		this.#window.flushed(startedAt, this.#clock.monotonic());
	}

	async #write(batches: readonly (readonly [CommitTarget, PendingUpdate[]])[]): Promise<WarrenError | null> {
		let firsts: number[];
		try {
			firsts = await this.#log.append(batches.map(([target, updates]) => ({ room: target.room, updates })));
		} catch (thrown) {
			return thrown instanceof WarrenError ? thrown : new WarrenError("store_failed", messageOf(thrown));
		}
		this.#health?.clear(syncConditions.notWritten);
		batches.forEach(([target, pending], index) => {
			const first = firsts[index] as number;
			target.committed(pending.map(({ update, socket }, at) => ({ seq: first + at, update, socket })));
		});
		return null;
	}

	#reject(batches: readonly (readonly [CommitTarget, PendingUpdate[]])[], failure: WarrenError): void {
		this.#health?.raise(syncConditions.notWritten, { fault: failure.message });
		this.#logger.error("updates were not written", {
			rooms: batches.length,
			code: failure.code,
			fault: failure.message,
		});
		for (const [target, pending] of batches) target.rejected(pending, failure.message);
	}
}

function endOfTurn(): Promise<void> {
	return new Promise((resolve) => setImmediate(resolve));
}
