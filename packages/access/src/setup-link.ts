import { type Clock, equalSecrets, hashToken, newSecret, type Random, RateLimit, type Verdict } from "@warren/kernel";
import type { Kysely } from "kysely";
import type { AccessTables } from "./schema.ts";

export const setupLimits = {
	lifetimeMs: 24 * 3600 * 1000,
	perAddress: { perSecond: 0.2, burst: 5, maxKeys: 10_000 },
} as const;

/** The one-time secret that makes whoever holds it the owner: printed at the console, carried in a URL's fragment. */
export class SetupLink {
	readonly #db: Kysely<AccessTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #limit: RateLimit;

	constructor(db: Kysely<AccessTables>, clock: Clock, random: Random) {
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
		this.#limit = new RateLimit(clock, setupLimits.perAddress);
	}

	/** A new secret; the one before it is dead. */
	async make(): Promise<string> {
		const secret = newSecret(this.#random);
		const row = { id: 1, secret_hash: hashToken(secret), expires_at: this.#clock.now() + setupLimits.lifetimeMs };
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
		const row = await this.#db.selectFrom("access_setup").selectAll().where("id", "=", 1).executeTakeFirst();
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
			.where("secret_hash", "=", hashToken(secret))
			.executeTakeFirst();
		return Number(spent.numDeletedRows) === 1;
	}
}
