import {
	type Authenticator,
	type Clock,
	ExpiringMap,
	hashToken,
	type Identity,
	RateLimit,
	type UserId,
	type Verdict,
} from "@warren/kernel";
import { apiKeyPrefix } from "./auth/names.ts";

export const sessionCacheLimits = {
	/** A yes is believed this long at most, and dropped at once when the session is revoked. */
	positiveMs: 5 * 60_000,
	/** A no is repeated this long: a broken client must not buy a lookup a request. */
	negativeMs: 15_000,
	maxEntries: 20_000,
	/** Unknown tokens of one address, each of which costs a lookup. */
	unknownPerAddress: { perSecond: 5, burst: 60, maxKeys: 10_000 },
} as const;

/** A live session as the library knows it. */
export interface KnownSession {
	readonly sessionId: string;
	readonly deviceName: string;
	readonly userId: string;
	readonly name: string;
	readonly email: string;
	readonly role: string;
	readonly admin: boolean;
	readonly createdAt: number;
	readonly expiresAt: number;
}

export interface SessionSource {
	/** Asks the library, which also moves a sliding session's end. */
	bySession(token: string): Promise<KnownSession | null>;
	byApiKey(key: string): Promise<KnownSession | null>;
}

/** Decides about session tokens and API keys: one look at the library each five minutes, none after a revocation. */
export class Sessions implements Authenticator {
	readonly kinds = ["session"] as const;
	readonly #source: SessionSource;
	readonly #clock: Clock;
	readonly #cache: ExpiringMap<string, KnownSession | "unknown">;
	readonly #asked = new Map<string, Promise<KnownSession | null>>();
	readonly #unknown: RateLimit;
	/** Grows with each revocation: an answer from before one is not kept. */
	#generation = 0;

	constructor(source: SessionSource, clock: Clock) {
		this.#source = source;
		this.#clock = clock;
		this.#cache = new ExpiringMap(clock, sessionCacheLimits.maxEntries);
		this.#unknown = new RateLimit(clock, sessionCacheLimits.unknownPerAddress);
	}

	authenticate: Authenticator["authenticate"] = async (credential, context) => {
		if (credential.scheme !== "bearer") return null;
		const token = sessionTokenOf(credential.token);
		if (token === null) return null;
		const waitMs = this.#unknown.waitMs(context.remoteAddress);
		if (waitMs > 0 && this.#cache.get(hashToken(token)) === undefined) {
			return {
				ok: false,
				reason: "limited",
				message: `Too many unknown sessions from ${context.remoteAddress}.`,
				retryAfterMs: waitMs,
			};
		}
		const known = await this.find(token);
		if (known === null) {
			this.#unknown.take(context.remoteAddress);
			return { ok: false, reason: "invalid", message: "This session has ended or was signed out." };
		}
		return { ok: true, kind: "session", identity: identityOf(known) } satisfies Verdict;
	};

	/** @param token a session's, without its signature, or an API key. */
	async find(token: string): Promise<KnownSession | null> {
		const key = hashToken(token);
		const cached = this.#cache.get(key);
		if (cached === "unknown") return null;
		if (cached !== undefined && cached.expiresAt > this.#clock.now()) return cached;
		const asked = this.#asked.get(key) ?? this.#ask(token, key);
		return asked;
	}

	/** Forgets at once what stands for revoked sessions. */
	forget(matches: (session: KnownSession) => boolean): void {
		this.#generation += 1;
		this.#cache.deleteWhere((each) => each !== "unknown" && matches(each));
	}

	#ask(token: string, key: string): Promise<KnownSession | null> {
		const asked = this.#look(token, key).finally(() => this.#asked.delete(key));
		this.#asked.set(key, asked);
		return asked;
	}

	async #look(token: string, key: string): Promise<KnownSession | null> {
		for (let tries = 0; ; tries += 1) {
			const generation = this.#generation;
			const known = await (token.startsWith(apiKeyPrefix)
				? this.#source.byApiKey(token)
				: this.#source.bySession(token));
			// Something was revoked while the library looked: its yes may be of before.
			if (generation !== this.#generation && known !== null && tries < 3) continue;
			if (generation === this.#generation) {
				const lifeMs = known === null ? 0 : known.expiresAt - this.#clock.now();
				if (known === null) this.#cache.set(key, "unknown", sessionCacheLimits.negativeMs);
				else if (lifeMs > 0) this.#cache.set(key, known, Math.min(sessionCacheLimits.positiveMs, lifeMs));
			}
			return known;
		}
	}
}

/**
 * The token in what a client sent: the library's own (32 characters, as a cookie or `set-auth-token` with a signature
 * behind the dot, which proves nothing that the token itself does not) or an API key. Null = not of this kind.
 */
export function sessionTokenOf(bearer: string): string | null {
	if (bearer.startsWith(apiKeyPrefix)) return bearer;
	return /^([A-Za-z0-9]{32})(?:\.[A-Za-z0-9+/=%_-]{1,200})?$/.exec(bearer)?.[1] ?? null;
}

function identityOf(known: KnownSession): Extract<Identity, { kind: "user" }> {
	return {
		kind: "user",
		userId: known.userId as UserId,
		name: known.name,
		admin: known.admin,
		deviceId: known.sessionId,
		expiresAt: known.expiresAt,
	};
}
