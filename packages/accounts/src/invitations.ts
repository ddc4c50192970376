import { type Clock, hashToken, newId, newSecret, type Random } from "@warren/kernel";
import { type Kysely, sql } from "kysely";
import { accountsError } from "./errors.ts";
import type { AccountsTables } from "./schema.ts";

export const invitationLimits = {
	defaultLifetimeMs: 3 * 24 * 3600 * 1000,
	maxLifetimeMs: 30 * 24 * 3600 * 1000,
	minLifetimeMs: 60_000,
	maxOpen: 100,
} as const;

/**
 * Of a row of invitations: whoever made it could still make it. Else an administrator who is banned, removed or none any
 * more would come back by what they had kept.
 */
export const isStillInvited = sql<boolean>`created_by in (
	select id from auth_user
	where banned is not true and (',' || role || ',' like '%,owner,%' or ',' || role || ',' like '%,admin,%')
)`;

export interface Invitation {
	readonly id: string;
	readonly role: string;
	/** Only this address may use it; null = whoever holds the code. */
	readonly email: string | null;
	readonly createdAt: number;
	readonly expiresAt: number;
}

/** Codes that let one more person sign up: single use, hashed, with an end. */
export class Invitations {
	readonly #db: Kysely<AccountsTables>;
	readonly #clock: Clock;
	readonly #random: Random;

	constructor(db: Kysely<AccountsTables>, clock: Clock, random: Random) {
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
	}

	/** @returns the invitation and its code, shown this once. @throws WarrenError `too_many`. */
	async make(
		by: string,
		options: { readonly role: string; readonly email: string | null; readonly lifetimeMs: number },
	): Promise<{ readonly invitation: Invitation; readonly code: string }> {
		const now = this.#clock.now();
		await this.#db.deleteFrom("accounts_invitations").where("expires_at", "<=", now).execute();
		if ((await this.list()).length >= invitationLimits.maxOpen)
			throw accountsError("too_many", `There are already ${invitationLimits.maxOpen} open invitations.`);
		const code = newSecret(this.#random);
		const invitation: Invitation = {
			id: newId(this.#random),
			role: options.role,
			email: options.email,
			createdAt: now,
			expiresAt: now + options.lifetimeMs,
		};
		await this.#db
			.insertInto("accounts_invitations")
			.values({
				id: invitation.id,
				code_hash: hashToken(code),
				role: invitation.role,
				email: invitation.email,
				created_by: by,
				created_at: now,
				expires_at: invitation.expiresAt,
				used_at: null,
			})
			.execute();
		return { invitation, code };
	}

	/** The open ones, newest first. */
	async list(): Promise<Invitation[]> {
		const rows = await this.#db
			.selectFrom("accounts_invitations")
			.select(["id", "role", "email", "created_at as createdAt", "expires_at as expiresAt"])
			.where("used_at", "is", null)
			.where("expires_at", ">", this.#clock.now())
			.where(isStillInvited)
			.orderBy("created_at", "desc")
			.execute();
		return rows;
	}

	/** @throws WarrenError `unknown_invitation`. */
	async withdraw(id: string): Promise<void> {
		const done = await this.#db.deleteFrom("accounts_invitations").where("id", "=", id).executeTakeFirst();
		if (Number(done.numDeletedRows) === 0)
			throw accountsError("unknown_invitation", `There is no open invitation "${id.slice(0, 40)}".`);
	}
}
