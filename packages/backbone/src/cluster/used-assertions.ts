import { hash } from "node:crypto";
import type { Clock } from "@warren/kernel";
import type { Kysely } from "kysely";
import type { OnceOnly } from "../identity/callers.ts";
import type { BackboneTables } from "../schema.ts";

/** Old ones go with every so many new ones. */
const cleanEvery = 256;

/** Assertions that count once, over all nodes: in the tables, which judging needs anyway. */
export class UsedAssertions implements OnceOnly {
	readonly #db: Kysely<BackboneTables>;
	readonly #clock: Clock;
	#count = 0;

	constructor(db: Kysely<BackboneTables>, clock: Clock) {
		this.#db = db;
		this.#clock = clock;
	}

	async use(what: string, ttlMs: number): Promise<boolean> {
		const now = this.#clock.now();
		const done = await this.#db
			.insertInto("backbone_used_assertions")
			.values({ used: hash("sha256", what, "base64url"), expires_at: now + ttlMs })
			.onConflict((conflict) => conflict.doNothing())
			.executeTakeFirst();
		if (this.#count++ % cleanEvery === 0)
			await this.#db.deleteFrom("backbone_used_assertions").where("expires_at", "<", now).execute();
		return Number(done.numInsertedOrUpdatedRows ?? 0) > 0;
	}
}
