import { type Clock, equalSecrets, hashToken, newSecret, type Random, RateLimit, type Verdict } from "@warren/kernel";
import type { Kysely } from "kysely";
import type { AccessTables } from "./schema.ts";

export const setupLimits = {
	lifetimeMs: 24 * 3600 * 1000,
	perAddress: { perSecond: 0.2, burst: 5, maxKeys: 10_000 },
} as const;

/** What one printed secret opens, each once: the node (user and PIN) and the hub beside it (the first account). */
export type SetupDoor = "node" | "hub";
const rowOf: Readonly<Record<SetupDoor, number>> = { node: 1, hub: 2 };

/** The one-time secret that makes whoever holds it the owner: printed at the console, carried in a URL's fragment. */
export class SetupLink {
	readonly #db: Kysely<AccessTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #limit: RateLimit;
	readonly #row: number;

	constructor(db: Kysely<AccessTables>, clock: Clock, random: Random, door: SetupDoor) {
		this.#row = rowOf[door];
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
		this.#limit = new RateLimit(clock, setupLimits.perAddress);
	}

	/** A new secret, or the one that another door was given; the one before it is dead. */
	async make(secret = newSecret(this.#random)): Promise<string> {
		const row = {
			id: this.#row,
			secret_hash: hashToken(secret),
			expires_at: this.#clock.now() + setupLimits.lifetimeMs,
		};
		await this.#db
			.insertInto("access_setup")
			.values(row)
			.onConflict((conflict) => conflict.column("id").doUpdateSet(row))
			.execute();
		return secret;
	}

	async verify(secret: string, remoteAddress: string): Promise<Verdict> {
		const waitMs = this.#limit.take(remoteAddress);
		if (waitMs > 0)
			return { ok: false, reason: "limited", message: `Too many tries from ${remoteAddress}.`, retryAfterMs: waitMs };
		const row = await this.#db.selectFrom("access_setup").selectAll().where("id", "=", this.#row).executeTakeFirst();
		if (row === undefined || row.expires_at <= this.#clock.now() || !equalSecrets(row.secret_hash, hashToken(secret))) {
			return { ok: false, reason: "invalid", message: "This setup link was used, replaced, or is older than a day." };
		}
		this.#limit.forgive(remoteAddress);
		return { ok: true, kind: "setup", identity: { kind: "operator", name: "setup" } };
	}

	/** Uses the secret up: of two that come at once, one wins. @returns whether this call was the one. */
	async spend(secret: string): Promise<boolean> {
		const spent = await this.#db
			.deleteFrom("access_setup")
			.where("id", "=", this.#row)
			.where("secret_hash", "=", hashToken(secret))
			.executeTakeFirst();
		return Number(spent.numDeletedRows) === 1;
	}

	/** Gives a spent secret back, when what it was spent on was refused. */
	async restore(secret: string): Promise<void> {
		await this.make(secret);
	}
}
