import { Backoff, type Clock, type Logger, messageOf, type Random, type Timer } from "@warren/kernel";
import type { Schema } from "@warren/store";
import type { Kysely } from "kysely";
import type { RoomStub } from "../platform.ts";
import type { Ended } from "../rooms/recent-endings.ts";

/** What a room must hear. */
export type Ending =
	| { readonly kind: "signed-out"; readonly ended: Ended }
	/** @property access null: none any more. */
	| { readonly kind: "access"; readonly userId: string; readonly access: string | null };

export interface OwedTable {
	edge_owed: {
		room: string;
		/** Whom it is about: of two endings of the same, the later one is told. */
		whom: string;
		/** JSON of an `Ending`. */
		ending: string;
		/** Its place in the hub's own order. */
		at: number;
	};
}

export const owedSchema: Schema = {
	domain: "edge_owed",
	migrations: {
		"001-owed": {
			async up(db) {
				await db.schema
					.createTable("edge_owed")
					.addColumn("room", "text", (column) => column.notNull())
					.addColumn("whom", "text", (column) => column.notNull())
					.addColumn("ending", "text", (column) => column.notNull())
					.addColumn("at", "bigint", (column) => column.notNull())
					.addPrimaryKeyConstraint("edge_owed_key", ["room", "whom"])
					.execute();
			},
		},
	},
};

/** The platform counts what one invocation asks of other objects; the rest has its turn in the next. */
const maxAtOnce = 200;
/** Long enough to be an alarm of the object (`ObjectClock`), which is an invocation of its own. */
const nextMs = 3_000;
const retry = { firstMs: 1_000, maxMs: 60_000 };

export interface OwedDeps {
	readonly db: Kysely<OwedTable>;
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
	readonly roomOf: (room: string) => RoomStub;
}

/** Endings that rooms have not heard yet: kept until they have, by whichever object is the hub then. */
export class Owed {
	readonly #deps: OwedDeps;
	readonly #backoff: Backoff;
	#timer: Timer | null = null;
	/** Rooms of this lap that did not answer: they hold up none of those behind them. */
	#failed = 0;
	#telling = false;
	#more = false;

	constructor(deps: OwedDeps) {
		this.#deps = deps;
		this.#backoff = new Backoff(retry, deps.random);
	}

	/** On disk when this resolves; told as soon as may be. */
	async add(rooms: readonly string[], ending: Ending, at: number): Promise<void> {
		const { db } = this.#deps;
		const text = JSON.stringify(ending);
		const whom = ending.kind === "access" ? `access ${ending.userId}` : `ended ${JSON.stringify(ending.ended)}`;
		for (const room of rooms) {
			await db
				.insertInto("edge_owed")
				.values({ room, whom, ending: text, at })
				.onConflict((conflict) => conflict.columns(["room", "whom"]).doUpdateSet({ ending: text, at }))
				.execute();
		}
		void this.tell();
	}

	/** Tells what is owed. Also at the start: an object before this one may have been put away in the middle. */
	async tell(): Promise<void> {
		this.#more = true;
		if (this.#telling) return;
		this.#telling = true;
		this.#timer?.cancel();
		this.#timer = null;
		try {
			while (this.#more) {
				this.#more = false;
				await this.#round();
			}
		} catch (fault) {
			this.#deps.logger.error("ended accesses could not be read", { fault: messageOf(fault) });
			this.#later(this.#backoff.nextMs());
		} finally {
			this.#telling = false;
		}
	}

	async #round(): Promise<void> {
		const { db, logger } = this.#deps;
		const owed = await db
			.selectFrom("edge_owed")
			.selectAll()
			.orderBy("at")
			.orderBy("room")
			.limit(maxAtOnce)
			.offset(this.#failed)
			.execute();
		const told = await Promise.allSettled(owed.map((each) => this.#one(each)));
		const faults = told.flatMap((each) => (each.status === "rejected" ? [messageOf(each.reason)] : []));
		if (faults.length > 0)
			logger.warn("an ended access did not reach its rooms yet", { rooms: faults.length, fault: faults[0] });
		this.#failed += faults.length;
		if (owed.length === maxAtOnce) return this.#later(nextMs);
		if (this.#failed > 0) this.#later(this.#backoff.nextMs());
		else this.#backoff.reset();
		this.#failed = 0;
	}

	async #one({ room, whom, ending: text, at }: OwedTable["edge_owed"]): Promise<void> {
		const ending = JSON.parse(text) as Ending;
		const stub = this.#deps.roomOf(room);
		if (ending.kind === "access") await stub.accessChanged(room, ending.userId, ending.access, at);
		else await stub.signedOut(ending.ended, at);
		const { db } = this.#deps;
		await db.deleteFrom("edge_owed").where("room", "=", room).where("whom", "=", whom).where("at", "=", at).execute();
	}

	#later(delayMs: number): void {
		this.#timer ??= this.#deps.clock.after(delayMs, () => {
			this.#timer = null;
			void this.tell();
		});
	}
}
