import { type Clock, type Closeable, type Logger, messageOf, type Timer } from "@warren/kernel";
import { type Kysely, sql } from "kysely";
import { storeError } from "./errors.ts";
import type { Schema } from "./tables.ts";

export interface LeadershipTable {
	/** One row a role. */
	store_leadership: {
		role: string;
		/** Raised by each takeover: what an earlier leader writes is refused by it. */
		epoch: number;
		/** Empty = nobody. */
		holder: string;
		/** Where the others reach it. */
		address: string;
		/** Raised by the leader while it lives. */
		beat: number;
		/** A secret that the instances share. */
		secret: string;
	};
}

export const leadershipSchema: Schema = {
	domain: "leadership",
	migrations: {
		"001-leadership": {
			async up(db) {
				await db.schema
					.createTable("store_leadership")
					.addColumn("role", "text", (column) => column.primaryKey())
					.addColumn("epoch", "bigint", (column) => column.notNull())
					.addColumn("holder", "text", (column) => column.notNull())
					.addColumn("address", "text", (column) => column.notNull())
					.addColumn("beat", "bigint", (column) => column.notNull())
					.addColumn("secret", "text", (column) => column.notNull())
					.execute();
			},
		},
	},
};

export const leadershipLimits = {
	beatMs: 500,
	/** A leader that could not beat for so long has stopped, on its own clock… */
	holdMs: 2_000,
	/** …before others, who saw no beat for so long on theirs, take over. */
	leaseMs: 3_000,
} as const;

export interface Leader {
	readonly holder: string;
	readonly address: string;
	readonly epoch: number;
}

export interface LeadershipOptions {
	readonly role: string;
	/** One process: never the same twice. */
	readonly holder: string;
	readonly address: string;
	/** Of the instances, where there is none yet. */
	readonly secret: string;
	/** This instance leads: it begins to serve. When it rejects, the next one may try. */
	readonly lead: (epoch: number) => Promise<void>;
	/** It leads no more: nothing that it serves may go on. */
	readonly lost: () => void;
	/** Another leads; null = nobody known does. */
	readonly follow: (leader: Leader | null) => void;
}

/**
 * Of several instances the one that serves, for roles whose order one process keeps. Elected by the database alone: by
 * compare-and-set on a row, and by each instance's own monotonic clock; no two machines need the same time of day.
 *
 *   following ──no beat for leaseMs, row still as seen──► leading ──row is another's, or no beat for holdMs──► following
 */
export class Leadership implements Closeable {
	readonly #db: Kysely<LeadershipTable>;
	readonly #clock: Clock;
	readonly #logger: Logger;
	readonly #options: LeadershipOptions;
	#epoch: number | null = null;
	#seen = "";
	#seenAt: number;
	#timer: Timer = { cancel() {} };
	#watchdog: Timer = { cancel() {} };
	#closed = false;
	#secret = "";
	#working: Promise<void> = Promise.resolve();

	constructor(db: Kysely<any>, deps: { readonly clock: Clock; readonly logger: Logger }, options: LeadershipOptions) {
		this.#db = db as Kysely<LeadershipTable>;
		this.#clock = deps.clock;
		this.#logger = deps.logger;
		this.#options = options;
		this.#seenAt = deps.clock.monotonic();
	}

	/** Finds who leads, or leads; then keeps at it. @returns the instances' secret. @throws WarrenError `store_away`. */
	async open(): Promise<string> {
		const { role, secret } = this.#options;
		await this.#db
			.insertInto("store_leadership")
			.values({ role, epoch: 0, holder: "", address: "", beat: 0, secret })
			.onConflict((conflict) => conflict.doNothing())
			.execute();
		const row = await this.#row();
		this.#secret = row.secret;
		return this.#secret;
	}

	/** Begins to follow or to lead. Resolves after the first look. */
	async start(): Promise<void> {
		await this.#look();
		this.#arm();
	}

	/** Resolves when the look that is under way is over. */
	async settled(): Promise<void> {
		await this.#working;
	}

	/** Null while another leads. */
	get epoch(): number | null {
		return this.#epoch;
	}

	/** Gives it back, so that the next one needs no wait. What it served must have ended. */
	async close(): Promise<void> {
		if (this.#closed) return;
		this.#closed = true;
		this.#timer.cancel();
		this.#watchdog.cancel();
		await this.#working;
		const epoch = this.#epoch;
		this.#epoch = null;
		if (epoch === null) return;
		await this.#db
			.updateTable("store_leadership")
			.set({ holder: "", address: "" })
			.where("role", "=", this.#options.role)
			.where("epoch", "=", epoch)
			.execute()
			.catch((fault: unknown) => this.#logger.warn("the lead could not be given back", { fault: messageOf(fault) }));
	}

	#arm(): void {
		this.#timer = this.#clock.after(leadershipLimits.beatMs, () => {
			this.#working = this.#look()
				.catch((fault: unknown) => this.#logger.warn("who leads is not known", { fault: messageOf(fault) }))
				.finally(() => {
					if (!this.#closed) this.#arm();
				});
		});
	}

	async #look(): Promise<void> {
		if (this.#epoch !== null) return this.#beat(this.#epoch);
		const row = await this.#row();
		const now = this.#clock.monotonic();
		const { epoch, holder, address, beat } = row;
		const seen = `${epoch} ${holder} ${beat}`;
		if (seen !== this.#seen) {
			this.#seen = seen;
			this.#seenAt = now;
		}
		const isStale = holder === "" || now - this.#seenAt >= leadershipLimits.leaseMs;
		if (!isStale) return this.#options.follow({ holder, address, epoch });
		this.#options.follow(null);
		if (!this.#closed) await this.#takeOver(epoch, beat);
	}

	async #takeOver(epoch: number, beat: number): Promise<void> {
		const { role, holder, address } = this.#options;
		const startedAt = this.#clock.monotonic();
		const done = await this.#db
			.updateTable("store_leadership")
			.set({ epoch: epoch + 1, holder, address, beat: 0 })
			.where("role", "=", role)
			.where("epoch", "=", epoch)
			.where("beat", "=", beat)
			.executeTakeFirst();
		if (Number(done.numUpdatedRows) !== 1) return;
		this.#epoch = epoch + 1;
		this.#watch(startedAt);
		this.#logger.info("this instance leads", { role, epoch: epoch + 1 });
		// Not awaited: it must beat while it begins.
		this.#options.lead(epoch + 1).catch((fault: unknown) => {
			this.#logger.error("leading failed", { role, fault: messageOf(fault) });
			this.#lose();
		});
	}

	async #beat(epoch: number): Promise<void> {
		const startedAt = this.#clock.monotonic();
		const done = await this.#db
			.updateTable("store_leadership")
			.set({ beat: sql<number>`beat + 1` })
			.where("role", "=", this.#options.role)
			.where("epoch", "=", epoch)
			.executeTakeFirst();
		if (this.#epoch !== epoch) return;
		if (Number(done.numUpdatedRows) === 1) this.#watch(startedAt);
		else this.#lose();
	}

	/** Whatever becomes of the answers: by then it is over. */
	#watch(beatAt: number): void {
		this.#watchdog.cancel();
		const left = Math.max(0, beatAt + leadershipLimits.holdMs - this.#clock.monotonic());
		this.#watchdog = this.#clock.after(left, () => this.#lose());
	}

	#lose(): void {
		if (this.#epoch === null) return;
		this.#logger.warn("this instance leads no more", { role: this.#options.role, epoch: this.#epoch });
		this.#epoch = null;
		this.#watchdog.cancel();
		this.#seen = "";
		this.#seenAt = this.#clock.monotonic();
		this.#options.lost();
	}

	async #row(): Promise<LeadershipTable["store_leadership"]> {
		const row = await this.#db
			.selectFrom("store_leadership")
			.selectAll()
			.where("role", "=", this.#options.role)
			.executeTakeFirstOrThrow();
		return { ...row, epoch: Number(row.epoch), beat: Number(row.beat) };
	}
}

/**
 * Inside a transaction, before anything is written: whether this epoch still leads. It stays so until the commit.
 * @throws WarrenError `store_busy` when another has taken over.
 */
export async function assertLeads(db: Kysely<any>, role: string, epoch: number): Promise<void> {
	const { rows } = await sql<{ epoch: number }>`
		select epoch from store_leadership where role = ${role} and epoch = ${epoch} for share`.execute(db);
	if (rows.length === 0) throw storeError("store_busy", "Another instance leads now: nothing was written.");
}
