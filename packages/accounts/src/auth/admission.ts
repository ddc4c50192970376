import { APIError } from "@better-auth/core/error";
import { type Clock, hashToken, type Verdict } from "@warren/kernel";
import type { Kysely } from "kysely";
import { isStillInvited } from "../invitations.ts";
import type { AccountsTables, AuthTables } from "../schema.ts";
import { requestFacts } from "./request-facts.ts";

/** Where the one-time secret of the first owner comes from: the node's setup link, or a hub's own. */
export interface SetupSecret {
	verify(secret: string, remoteAddress: string): Promise<Verdict>;
	/** Uses it up. @returns whether this call was the one. */
	spend(secret: string): Promise<boolean>;
	/** Gives it back, when what it was spent on was refused. */
	restore(secret: string): Promise<void>;
}

/** The library's endpoints that stay shut here. */
const shut = new Set([
	// They work on tokens in the clear, which are in no table; `/me/devices` does their work.
	"/list-sessions",
	"/revoke-session",
	"/revoke-other-sessions",
	"/admin/list-user-sessions",
	"/admin/revoke-user-session",
	// Nobody acts in another's name, nor makes the means to: a password that an administrator knows opens that person's
	// machines and documents, and what is written into a row may take a second factor away.
	"/admin/impersonate-user",
	"/admin/stop-impersonating",
	"/admin/set-user-password",
	"/admin/update-user",
	// An HTML page on the UI's origin.
	"/error",
]);

export const deviceCodeLimits = {
	/** Sign-ins by code that wait at once: anybody may begin one. */
	maxOpen: 10_000,
	/** Characters of what a code asks for. Nothing here knows scopes; they are given back as they came. */
	maxScopeLength: 256,
} as const;

interface JudgedCall {
	readonly path: string;
	readonly body?: unknown;
}

/**
 * Who may make an account, and what even an administrator may not do. Runs inside the library, on the endpoint's own
 * path, so that no spelling of a URL gets past it.
 */
export class Admission {
	readonly #db: Kysely<AccountsTables & AuthTables>;
	readonly #clock: Clock;
	readonly #setup: SetupSecret;

	constructor(db: Kysely<AccountsTables & AuthTables>, clock: Clock, setup: SetupSecret) {
		this.#db = db;
		this.#clock = clock;
		this.#setup = setup;
	}

	async judge(call: JudgedCall): Promise<void> {
		if (shut.has(call.path))
			throw new APIError("NOT_FOUND", { message: "This is not offered here.", code: "NOT_FOUND" });
		if (call.path === "/sign-up/email") await this.#signUp(field(call.body, "invitation"), field(call.body, "email"));
		if (call.path === "/device/code") await this.#deviceCode(field(call.body, "scope") ?? "");
		if (call.path.startsWith("/admin/")) await this.#admin(call);
	}

	/**
	 * Somebody comes by way of another service: looks up the invitation that waits for that address, in case they have no
	 * account yet. Before the library's transaction, in which nothing else gets at the tables.
	 */
	async lookUp(email: string | null | undefined): Promise<void> {
		const facts = requestFacts.getStore();
		if (facts === undefined || typeof email !== "string") return;
		const address = email.toLowerCase();
		const row = await this.#open(address, null).select("role").executeTakeFirst();
		facts.invited = row === undefined ? null : { email: address, role: row.role };
	}

	/**
	 * Whether that somebody gets an account. The address must be one that the service has checked. The owner's account is
	 * made here, with the setup secret, and linked.
	 */
	admitSocial(user: { readonly email: string; readonly emailVerified: boolean }): void {
		const facts = requestFacts.getStore();
		const invited = facts?.invited;
		if (facts === undefined || !user.emailVerified || invited?.email !== user.email.toLowerCase()) {
			throw new APIError("FORBIDDEN", {
				code: "INVITATION_NEEDED",
				message: "No account here is linked to that one, and no invitation is open for its address.",
			});
		}
		facts.role = invited.role;
		facts.admitted = true;
	}

	/** The account of `admitSocial` was made: its invitation is used up. */
	async settleSocial(): Promise<void> {
		const facts = requestFacts.getStore();
		if (facts?.admitted !== true || facts.invited === null) return;
		facts.admitted = false;
		await this.#claim(facts.invited.email, null);
	}

	async hasOwner(): Promise<boolean> {
		return (await this.#db.selectFrom("auth_user").select("id").limit(1).executeTakeFirst()) !== undefined;
	}

	/** The owner's account; empty before there is one. */
	async ownerId(): Promise<string> {
		const row = await this.#db.selectFrom("auth_user").select("id").where("role", "=", "owner").executeTakeFirst();
		return row?.id ?? "";
	}

	/** The first account needs the setup secret, every later one an invitation; without either, nothing is told. */
	async #signUp(invitation: string | null, email: string | null): Promise<void> {
		const facts = requestFacts.getStore();
		if (facts === undefined) throw new APIError("FORBIDDEN", { message: "Accounts are made over HTTP." });
		if (!(await this.hasOwner())) return this.#firstOwner(facts.setupSecret, facts.remoteAddress);
		if (invitation === null) {
			throw new APIError("FORBIDDEN", {
				code: "INVITATION_NEEDED",
				message: "A new account needs an invitation. Ask the owner of this hub for one.",
			});
		}
		const claimed = await this.#claim(email ?? "", hashToken(invitation.trim()));
		if (claimed === null) {
			throw new APIError("FORBIDDEN", {
				code: "BAD_INVITATION",
				message: "This invitation was used, has ended, or is for another address. Ask for a new one.",
			});
		}
		facts.role = claimed.role;
		facts.undo = claimed.undo;
	}

	/**
	 * Uses an open invitation up. @param codeHash null: one that names the address will do.
	 * @returns null when there is none; `undo` opens it again.
	 */
	async #claim(
		address: string,
		codeHash: string | null,
	): Promise<{ readonly role: string; readonly undo: () => Promise<void> } | null> {
		const now = this.#clock.now();
		const row = await this.#db
			.updateTable("accounts_invitations")
			.set({ used_at: now })
			.where("id", "in", this.#open(address.toLowerCase(), codeHash).select("id"))
			.where("used_at", "is", null)
			.returning(["id", "role"])
			.executeTakeFirst();
		if (row === undefined) return null;
		const undo = async () => {
			await this.#db
				.updateTable("accounts_invitations")
				.set({ used_at: null })
				.where("id", "=", row.id)
				.where("used_at", "=", now)
				.execute();
		};
		return { role: row.role, undo };
	}

	#open(email: string, codeHash: string | null) {
		return this.#db
			.selectFrom("accounts_invitations")
			.where("used_at", "is", null)
			.where("expires_at", ">", this.#clock.now())
			.where(isStillInvited)
			.where((where) =>
				codeHash === null
					? where("email", "=", email)
					: where.and([
							where("code_hash", "=", codeHash),
							where.or([where("email", "is", null), where("email", "=", email)]),
						]),
			)
			.limit(1);
	}

	async #firstOwner(secret: string | null, remoteAddress: string): Promise<void> {
		const facts = requestFacts.getStore();
		if (secret === null || facts === undefined) {
			throw new APIError("FORBIDDEN", {
				code: "SETUP_NEEDED",
				message: "The first account needs the setup link that this machine printed when it started.",
			});
		}
		const verdict = await this.#setup.verify(secret, remoteAddress);
		if (!verdict.ok && verdict.reason === "limited")
			throw new APIError("TOO_MANY_REQUESTS", { code: "RATE_LIMITED", message: verdict.message });
		if (!verdict.ok || !(await this.#setup.spend(secret))) {
			throw new APIError("UNAUTHORIZED", {
				code: "SETUP_SPENT",
				message: "This setup link was used, replaced, or has ended. Start again for a new one.",
			});
		}
		facts.role = "owner";
		facts.undo = () => this.#setup.restore(secret);
	}

	/** A sign-in by code begins before anybody is known: what it leaves in the tables is bounded here. */
	async #deviceCode(scope: string): Promise<void> {
		const { maxOpen, maxScopeLength } = deviceCodeLimits;
		if (scope.length > maxScopeLength)
			throw new APIError("BAD_REQUEST", {
				error: "invalid_scope",
				error_description: `The scope has ${scope.length} characters; ${maxScopeLength} are the most.`,
			});
		const now = new Date(this.#clock.now()).toISOString();
		await this.#db.deleteFrom("auth_device_code").where("expiresAt", "<", now).execute();
		const { open } = await this.#db
			.selectFrom("auth_device_code")
			.select((each) => each.fn.countAll<number>().as("open"))
			.executeTakeFirstOrThrow();
		if (Number(open) >= maxOpen)
			throw new APIError("TOO_MANY_REQUESTS", {
				code: "RATE_LIMITED",
				message: `${maxOpen} sign-ins by code wait already; each ends after 15 minutes.`,
			});
	}

	/** There is one owner: nobody makes another, and no administrator touches the one there is. */
	async #admin(call: JudgedCall): Promise<void> {
		const role = (call.body as { role?: unknown; data?: { role?: unknown } } | undefined) ?? {};
		if ([role.role, role.data?.role].flat().some((each) => String(each).toLowerCase() === "owner"))
			throw new APIError("FORBIDDEN", { code: "ONE_OWNER", message: "A hub has one owner." });
		const userId = field(call.body, "userId");
		if (userId === null || call.path === "/admin/get-user" || call.path === "/admin/has-permission") return;
		const user = await this.#db.selectFrom("auth_user").select("role").where("id", "=", userId).executeTakeFirst();
		if (user?.role === "owner")
			throw new APIError("FORBIDDEN", {
				code: "OWNER_STAYS",
				message: "The owner's account is only the owner's to change.",
			});
	}
}

function field(body: unknown, name: string): string | null {
	const value = (body as Record<string, unknown> | null | undefined)?.[name];
	return typeof value === "string" && value !== "" ? value : null;
}
