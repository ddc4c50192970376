import { type Clock, equalSecrets, hashToken, newSecret, type Random, RateLimit } from "@warren/kernel";
import type { Kysely } from "kysely";
import type { SetupSecret } from "./auth/admission.ts";
import type { AccountsTables } from "./schema.ts";

export const hubSetupLimits = {
	lifetimeMs: 24 * 3600 * 1000,
	perAddress: { perSecond: 0.2, burst: 5, maxKeys: 10_000 },
} as const;

/** The setup secret of a hub that runs alone; beside a node, the node's own setup link is handed in instead. */
export class HubSetup implements SetupSecret {
	readonly #db: Kysely<AccountsTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #limit: RateLimit;

	constructor(db: Kysely<AccountsTables>, clock: Clock, random: Random) {
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
		this.#limit = new RateLimit(clock, hubSetupLimits.perAddress);
	}

	/** A new secret, for a link's fragment; the one before it is dead. */
	async make(): Promise<string> {
		const secret = newSecret(this.#random);
		const row = this.#rowOf(secret);
		await this.#db
			.insertInto("accounts_setup")
			.values(row)
			.onConflict((conflict) => conflict.column("id").doUpdateSet(row))
			.execute();
		return secret;
	}

	verify: SetupSecret["verify"] = async (secret, remoteAddress) => {
		const retryAfterMs = this.#limit.take(remoteAddress);
		if (retryAfterMs > 0)
			return { ok: false, reason: "limited", message: `Too many tries from ${remoteAddress}.`, retryAfterMs };
		const row = await this.#db.selectFrom("accounts_setup").selectAll().where("id", "=", 1).executeTakeFirst();
		const fits = row !== undefined && equalSecrets(row.secret_hash, hashToken(secret));
		if (!fits || Number(row.expires_at) <= this.#clock.now())
			return { ok: false, reason: "invalid", message: "This setup link was used, replaced, or is older than a day." };
		this.#limit.forgive(remoteAddress);
		return { ok: true, kind: "setup", identity: { kind: "operator", name: "setup" } };
	};

	/** Of two that come at once, one wins. */
	async spend(secret: string): Promise<boolean> {
		const spent = await this.#db
			.deleteFrom("accounts_setup")
			.where("secret_hash", "=", hashToken(secret))
			.executeTakeFirst();
		return Number(spent.numDeletedRows) === 1;
	}

	async restore(secret: string): Promise<void> {
		await this.#db
			.insertInto("accounts_setup")
			.values(this.#rowOf(secret))
			.onConflict((conflict) => conflict.column("id").doNothing())
			.execute();
	}

	#rowOf(secret: string) {
		return { id: 1, secret_hash: hashToken(secret), expires_at: this.#clock.now() + hubSetupLimits.lifetimeMs };
	}
}
