import type { Identity } from "@warren/kernel";
import {
	type Authenticator,
	type Clock,
	ExpiringMap,
	evictOldest,
	hashToken,
	RateLimit,
	type UserId,
	type Verdict,
} from "@warren/kernel";
import { z } from "zod";
import { sessionCacheLimits, sessionTokenOf } from "./sessions.ts";

export const sessionClientLimits = {
	/** A yes is believed this long before the hub is asked again. */
	positiveMs: sessionCacheLimits.positiveMs,
	negativeMs: sessionCacheLimits.negativeMs,
	/** With the hub away, it is asked again this often at most. */
	retryMs: 5_000,
	maxSessions: 5_000,
	/** Lookups at the hub that one address may cause by tokens that nobody knows. */
	perAddress: { perSecond: 1, burst: 30, maxKeys: 10_000 },
} as const;

/** What `GET /auth/session` says. */
export const sessionAnswerSchema = z.object({
	user: z.object({ id: z.string(), name: z.string(), admin: z.boolean().default(false) }),
	session: z.object({ id: z.string().optional(), expiresAt: z.union([z.number(), z.iso.datetime()]) }),
});
export type SessionAnswer = z.infer<typeof sessionAnswerSchema>;

/** Asks the hub about one token. Never rejects. */
export type AskHub = (
	token: string,
) => Promise<
	| { readonly kind: "valid"; readonly answer: SessionAnswer }
	| { readonly kind: "invalid" }
	| { readonly kind: "unreachable" }
>;

/** A person, as the hub vouched for them. */
export type SessionUser = Extract<Identity, { kind: "user" }>;

/** What was known before a restart; `SessionMemory` keeps it in tables. */
export interface KnownSessions {
	get(tokenHash: string): Promise<SessionUser | null>;
	put(tokenHash: string, user: SessionUser): Promise<void>;
	delete(tokenHash: string): Promise<void>;
}

/**
 * ```
 *            hub: valid                  5 min over
 * (unknown) ───────────► fresh ─────────────────────────► due ── hub: valid ──► fresh
 *     │                    ▲ hub: valid                     ├─── hub: invalid ► invalid (15 s), never again as a yes
 *     └─ hub: invalid ─► invalid                            └─── hub away ────► stale, until the session's own end
 * ```
 */
interface Known {
	readonly user: SessionUser;
	/** When the hub is to be asked again, monotonic milliseconds. */
	askAt: number;
}

/**
 * Decides about a hub's sessions away from the hub: for sidecars and nodes. A yes outlives the hub's absence up to the
 * session's own end, a no is definite, and nobody unknown enters while the hub is away.
 */
export class SessionClient implements Authenticator {
	readonly kinds = ["session"] as const;
	readonly #ask: AskHub;
	readonly #clock: Clock;
	readonly #known = new Map<string, Known>();
	readonly #invalid: ExpiringMap<string, true>;
	readonly #asked = new Map<string, Promise<Verdict>>();
	readonly #unknown: RateLimit;
	readonly #memory: KnownSessions | null;

	/** @param memory what outlives a restart; null = nothing does. */
	constructor(ask: AskHub, clock: Clock, memory: KnownSessions | null = null) {
		this.#memory = memory;
		this.#ask = ask;
		this.#clock = clock;
		this.#invalid = new ExpiringMap(clock, sessionClientLimits.maxSessions);
		this.#unknown = new RateLimit(clock, sessionClientLimits.perAddress);
	}

	authenticate: Authenticator["authenticate"] = async (credential, context) => {
		if (credential.scheme !== "bearer") return null;
		const token = sessionTokenOf(credential.token);
		if (token === null) return null;
		const key = hashToken(token);
		const known = this.#known.get(key);
		if (known !== undefined && known.user.expiresAt <= this.#clock.now()) {
			this.#known.delete(key);
			return refused("expired");
		}
		if (known !== undefined && this.#clock.monotonic() < known.askAt) return accepted(known.user);
		if (this.#invalid.get(key) === true) return refused("invalid");
		if (known === undefined) {
			const retryAfterMs = this.#unknown.take(context.remoteAddress);
			if (retryAfterMs > 0)
				return {
					ok: false,
					reason: "limited",
					message: `Too many unknown sessions from ${context.remoteAddress}.`,
					retryAfterMs,
				};
		}
		const asked = this.#asked.get(key) ?? this.#look(token, key);
		return asked;
	};

	/** What the hub said about revoked sessions, where somebody listens to it. */
	forget(matches: (user: SessionUser) => boolean): void {
		for (const [key, { user }] of this.#known) if (matches(user)) this.#known.delete(key);
	}

	#look(token: string, key: string): Promise<Verdict> {
		const asked = this.#decide(token, key).finally(() => this.#asked.delete(key));
		this.#asked.set(key, asked);
		return asked;
	}

	async #decide(token: string, key: string): Promise<Verdict> {
		const said = await this.#ask(token);
		const now = this.#clock.now();
		switch (said.kind) {
			case "valid": {
				const user = userOf(said.answer);
				if (user.expiresAt <= now) return refused("expired");
				this.#keep(key, { user, askAt: this.#clock.monotonic() + sessionClientLimits.positiveMs });
				await this.#memory?.put(key, user);
				return accepted(user);
			}
			case "invalid":
				this.#known.delete(key);
				await this.#memory?.delete(key);
				this.#invalid.set(key, true, sessionClientLimits.negativeMs);
				return refused("invalid");
			case "unreachable": {
				const before = this.#known.get(key)?.user ?? (await this.#memory?.get(key)) ?? null;
				if (before === null || before.expiresAt <= now)
					return {
						ok: false,
						reason: "unavailable",
						message: "The hub cannot be asked whether this session is good.",
						retryAfterMs: sessionClientLimits.retryMs,
					};
				this.#keep(key, { user: before, askAt: this.#clock.monotonic() + sessionClientLimits.retryMs });
				return accepted(before);
			}
		}
	}

	#keep(key: string, known: Known): void {
		this.#known.delete(key);
		this.#known.set(key, known);
		evictOldest(this.#known, sessionClientLimits.maxSessions);
	}
}

function userOf({ user, session }: SessionAnswer): SessionUser {
	return {
		kind: "user",
		userId: user.id as UserId,
		name: user.name,
		admin: user.admin,
		...(session.id === undefined ? {} : { deviceId: session.id }),
		expiresAt: typeof session.expiresAt === "number" ? session.expiresAt : Date.parse(session.expiresAt),
	};
}

function accepted(user: SessionUser): Verdict {
	return { ok: true, kind: "session", identity: user };
}

function refused(reason: "invalid" | "expired"): Verdict {
	return { ok: false, reason, message: "This session has ended or was signed out." };
}
