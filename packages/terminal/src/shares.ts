import {
	type Authenticator,
	type Clock,
	type Closeable,
	type CredentialKind,
	hashToken,
	newId,
	newSecret,
	type Random,
	type Timer,
} from "@warren/kernel";
import type { Kysely } from "kysely";
import { terminalError } from "./errors.ts";
import type { TerminalTables } from "./schema.ts";

export const shareTokenPrefix = "ws_";
export const shareLimits = {
	maxShares: 200,
	minLifetimeMs: 60_000,
	maxLifetimeMs: 7 * 24 * 3_600_000,
} as const;

export interface Share {
	readonly id: string;
	/** The one session that it shows. */
	readonly session: string;
	readonly createdAt: number;
	readonly expiresAt: number;
}

interface Known {
	readonly share: Share;
	readonly sessionCreated: number;
}

/** Read-only links to one session each. Tokens are hashed at rest; all in memory, so that a request costs one hash. */
export class Shares implements Authenticator, Closeable {
	readonly kinds: readonly CredentialKind[] = ["share"];
	readonly #db: Kysely<TerminalTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #byHash = new Map<string, Known>();
	readonly #onEnded: (share: Share, why: "revoked" | "expired") => void;
	#timer: Timer | undefined;

	private constructor(
		deps: { readonly db: Kysely<TerminalTables>; readonly clock: Clock; readonly random: Random },
		onEnded: (share: Share, why: "revoked" | "expired") => void,
	) {
		this.#db = deps.db;
		this.#clock = deps.clock;
		this.#random = deps.random;
		this.#onEnded = onEnded;
	}

	/** @param onEnded for closing what a share still has open. */
	static async open(
		deps: { readonly db: Kysely<TerminalTables>; readonly clock: Clock; readonly random: Random },
		onEnded: (share: Share, why: "revoked" | "expired") => void,
	): Promise<Shares> {
		const shares = new Shares(deps, onEnded);
		for (const row of await deps.db.selectFrom("terminal_shares").selectAll().execute()) {
			const share = { id: row.id, session: row.session, createdAt: row.created_at, expiresAt: row.expires_at };
			shares.#byHash.set(row.token_hash, { share, sessionCreated: row.session_created });
		}
		await shares.#sweep();
		return shares;
	}

	/** @returns the share and its token, shown this once. @throws WarrenError `too_many`. */
	async create(session: string, sessionCreated: number, lifetimeMs: number): Promise<{ share: Share; token: string }> {
		if (this.#byHash.size >= shareLimits.maxShares) {
			throw terminalError("too_many", `This node has ${shareLimits.maxShares} shares already.`, {
				fix: "Revoke one that is no longer used.",
			});
		}
		const now = this.#clock.now();
		const token = `${shareTokenPrefix}${newSecret(this.#random)}`;
		const share: Share = { id: newId(this.#random), session, createdAt: now, expiresAt: now + lifetimeMs };
		const row = {
			id: share.id,
			token_hash: hashToken(token),
			session,
			session_created: sessionCreated,
			created_at: now,
			expires_at: share.expiresAt,
		};
		await this.#db.insertInto("terminal_shares").values(row).execute();
		this.#byHash.set(row.token_hash, { share, sessionCreated });
		this.#arm();
		return { share, token };
	}

	/** Newest first. */
	list(): Share[] {
		return [...this.#byHash.values()].map((known) => known.share).sort((a, b) => b.createdAt - a.createdAt);
	}

	/** When the session that this share is for was created; null when there is no such share. */
	sessionCreated(id: string): number | null {
		for (const known of this.#byHash.values()) if (known.share.id === id) return known.sessionCreated;
		return null;
	}

	/** The token is dead when this resolves. @throws WarrenError `unknown_share`. */
	async revoke(id: string): Promise<void> {
		const found = [...this.#byHash].find(([, known]) => known.share.id === id);
		if (found === undefined) throw terminalError("unknown_share", `There is no share "${id.slice(0, 40)}".`);
		await this.#forget(found[1].share);
		this.#byHash.delete(found[0]);
		this.#onEnded(found[1].share, "revoked");
	}

	authenticate: Authenticator["authenticate"] = async (credential) => {
		if (credential.scheme !== "bearer" || !credential.token.startsWith(shareTokenPrefix)) return null;
		const known = this.#byHash.get(hashToken(credential.token));
		if (known === undefined) return { ok: false, reason: "invalid", message: "This share link is not valid any more." };
		const { id, session, expiresAt } = known.share;
		if (expiresAt <= this.#clock.now()) {
			return { ok: false, reason: "expired", message: "This share link is over." };
		}
		return { ok: true, kind: "share", identity: { kind: "share", shareId: id, resource: session, expiresAt } };
	};

	close(): void {
		this.#timer?.cancel();
		this.#timer = undefined;
	}

	/** Whatever the disk says: a row that it keeps is swept by the next start. */
	async #sweep(): Promise<void> {
		const now = this.#clock.now();
		const over = [...this.#byHash].filter(([, { share }]) => share.expiresAt <= now);
		for (const [hash, { share }] of over) {
			this.#byHash.delete(hash);
			this.#onEnded(share, "expired");
		}
		this.#arm();
		for (const [, { share }] of over) await this.#forget(share).catch(() => {});
	}

	async #forget(share: Share): Promise<void> {
		await this.#db.deleteFrom("terminal_shares").where("id", "=", share.id).execute();
	}

	#arm(): void {
		this.#timer?.cancel();
		this.#timer = undefined;
		const next = Math.min(...[...this.#byHash.values()].map((known) => known.share.expiresAt));
		if (next === Number.POSITIVE_INFINITY) return;
		this.#timer = this.#clock.after(Math.max(0, next - this.#clock.now()), () => void this.#sweep());
	}
}
