import { type Clock, hashToken, newId, newSecret, type Random } from "@warren/kernel";
import type { Kysely } from "kysely";
import { accountsError } from "../errors.ts";
import type { AccountsTables } from "../schema.ts";

export const joinCodeLimits = {
	/** A code lives this long at most. */
	lifetimeMs: 10 * 60_000,
	maxOpen: 50,
} as const;

/** The single-use secrets that let a machine join. */
export class JoinCodes {
	readonly #db: Kysely<AccountsTables>;
	readonly #clock: Clock;
	readonly #random: Random;

	constructor(db: Kysely<AccountsTables>, clock: Clock, random: Random) {
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
	}

	/** @param userId whose machine it will be. @throws WarrenError `too_many`. */
	async make(userId: string, lifetimeMs: number): Promise<{ readonly secret: string; readonly expiresAt: number }> {
		const now = this.#clock.now();
		await this.#db.deleteFrom("accounts_machine_invites").where("expires_at", "<=", now).execute();
		const { open } = await this.#db
			.selectFrom("accounts_machine_invites")
			.select((each) => each.fn.countAll<number>().as("open"))
			.executeTakeFirstOrThrow();
		if (Number(open) >= joinCodeLimits.maxOpen)
			throw accountsError("too_many", `There are already ${joinCodeLimits.maxOpen} open join codes.`, {
				fix: "Wait ten minutes: they end by themselves.",
			});
		const secret = newSecret(this.#random);
		const expiresAt = now + lifetimeMs;
		await this.#db
			.insertInto("accounts_machine_invites")
			.values({
				id: newId(this.#random),
				secret_hash: hashToken(secret),
				user_id: userId,
				created_at: now,
				expires_at: expiresAt,
			})
			.execute();
		return { secret, expiresAt };
	}

	/**
	 * Uses the code up and calls `take`: when that refuses, the code lives on.
	 * @throws WarrenError `bad_code`, and what `take` throws.
	 */
	async use<T>(secret: string, take: (userId: string) => Promise<T>): Promise<T> {
		const code = await this.#db
			.deleteFrom("accounts_machine_invites")
			.where("secret_hash", "=", hashToken(secret))
			.returningAll()
			.executeTakeFirst();
		if (code === undefined) throw accountsError("bad_code", "This join code was used, or is over ten minutes old.");
		const lateMs = this.#clock.now() - Number(code.expires_at);
		if (lateMs >= 0)
			throw accountsError(
				"bad_code",
				`This join code was good for ten minutes, and ended ${Math.max(1, Math.round(lateMs / 60_000))} min ago.`,
			);
		try {
			return await take(code.user_id);
		} catch (refused) {
			await this.#db
				.insertInto("accounts_machine_invites")
				.values(code)
				.onConflict((conflict) => conflict.doNothing())
				.execute();
			throw refused;
		}
	}
}
