import { type Clock, type Closeable, ExpiringMap, RateLimit } from "@warren/kernel";
import type { Changes } from "../changes.ts";
import type { CallerIdentity } from "../protocol/identity-headers.ts";
import {
	type AssertedRequest,
	type Assertion,
	equalKeys,
	parseCredential,
	readUrlToken,
	verifyAssertion,
	verifyUrlToken,
} from "../protocol/tokens.ts";
import { Throttle } from "../server/throttle.ts";
import type { Principal, Principals } from "./principals.ts";
import { SignedLines, signedLineLimits } from "./signed-lines.ts";
import type { SigningKey } from "./signing-key.ts";

export const callerLimits = {
	/** A yes is remembered this long at most, should news of a change be lost. */
	rememberMs: signedLineLimits.rememberedMs,
	/** …and this long while no news can come. */
	rememberAwayMs: 1_000,
	maxRemembered: 20_000,
	/** Wrong credentials of one address. */
	failures: { perSecond: 5, burst: 30, maxKeys: 10_000 },
	maxJti: 100_000,
} as const;

/** What a request offers as proof; at most one of credential, URL token and cookie counts, never two of them. */
export interface Offered {
	readonly credential: string | null;
	readonly assertion: string | null;
	readonly urlToken: string | null;
	/** A URL token that a browser got as a cookie: ambient. */
	readonly cookieToken: string | null;
}

export interface Caller {
	readonly ok: true;
	/** Null = anonymous. */
	readonly principal: Principal | null;
	readonly identity: CallerIdentity | null;
	/** Header lines to inject; empty for anonymous. */
	readonly lines: string;
	/** Proven by a cookie: other sites' pages can make a browser send it. */
	readonly ambient: boolean;
	readonly throttle: Throttle | null;
	/** Null = no limit of requests. */
	readonly requests: RateLimit | null;
	/** When the URL token behind it ends, ms since the epoch. */
	readonly tokenEndsAt: number | null;
}

export interface CallerRefusal {
	readonly ok: false;
	readonly status: 401 | 403 | 429;
	readonly code: string;
	readonly message: string;
	readonly retryAfterMs?: number;
}

const anonymous: Caller = {
	ok: true,
	principal: null,
	identity: null,
	lines: "",
	ambient: false,
	throttle: null,
	requests: null,
	tokenEndsAt: null,
};

interface Remembered {
	readonly caller: Caller;
	readonly key: Buffer;
	/** Both by the wall clock, as requests are. */
	readonly since: number;
	readonly until: number;
}

/** Where several nodes keep what counts once. */
export interface OnceOnly {
	/** @returns false when it was used before. @throws when that cannot be known. */
	use(what: string, ttlMs: number): Promise<boolean>;
}

/** Tells who calls a service. A credential that is offered and not good is refused, never taken for none. */
export class Callers implements Closeable {
	readonly #principals: Principals;
	readonly #clock: Clock;
	/** By service and credential. */
	readonly #remembered = new Map<string, Remembered>();
	readonly #signed: SignedLines;
	readonly #throttles = new Map<string, { throttle: Throttle | null; requests: RateLimit | null; limits: string }>();
	readonly #failures: RateLimit;
	readonly #jti: ExpiringMap<string, true>;
	readonly #once: OnceOnly | null;
	readonly #changes: Changes;
	readonly #news: Closeable;
	readonly #resumed: Closeable;
	/** Raised at each change: a look-up that began before it is not remembered. */
	#generation = 0;

	/** @param deps.once null = this is the only node. */
	constructor(
		deps: {
			principals: Principals;
			signer: Pick<SigningKey, "sign">;
			changes: Changes;
			clock: Clock;
			once?: OnceOnly | null;
		},
		issuer: string,
	) {
		this.#once = deps.once ?? null;
		this.#changes = deps.changes;
		this.#resumed = deps.changes.onResumed(() => {
			this.#generation += 1;
			this.#remembered.clear();
			this.#throttles.clear();
		});
		this.#principals = deps.principals;
		this.#clock = deps.clock;
		this.#signed = new SignedLines(deps.signer, issuer, deps.clock);
		this.#failures = new RateLimit(deps.clock, callerLimits.failures);
		this.#jti = new ExpiringMap(deps.clock, callerLimits.maxJti);
		this.#news = deps.changes.hear((change) => {
			if (change.of !== "principal") return;
			this.#generation += 1;
			for (const [key, { caller }] of this.#remembered)
				if (caller.principal?.principal_id === change.id) this.#remembered.delete(key);
			this.#throttles.delete(change.id);
		});
	}

	close(): void {
		void this.#news.close();
		void this.#resumed.close();
		this.#remembered.clear();
		this.#signed.clear();
	}

	/** Without a wait for whoever is remembered; that is the path of nearly every request. */
	judge(
		offered: Offered,
		request: AssertedRequest,
		address: string,
	): Caller | CallerRefusal | Promise<Caller | CallerRefusal> {
		const { credential, assertion, urlToken, cookieToken } = offered;
		if (credential === null) {
			if (assertion !== null) return invalid("An assertion needs the x-backbone-principal that signed it.");
			if (urlToken !== null) return this.#judgeUrlToken(urlToken, request, address, false);
			if (cookieToken !== null) return this.#judgeUrlToken(cookieToken, request, address, true);
			return anonymous;
		}
		if (urlToken !== null) return invalid("The request offers two credentials: a header and a URL token.");
		const remembered = this.#remembered.get(keyOf(request.service, credential));
		if (remembered !== undefined && this.#stillCounts(remembered, request.now))
			return assertion === null ? remembered.caller : this.#assert(remembered, assertion, request);
		return this.#judgeCredential(credential, assertion, request, address);
	}

	#stillCounts({ since, until }: Remembered, now: number): boolean {
		return until > now && (this.#changes.connected || since + callerLimits.rememberAwayMs > now);
	}

	/** Who holds a credential, whatever service: for the API. */
	async principalOf(credential: string, address: string): Promise<Principal | CallerRefusal> {
		const found = await this.#find(credential, address);
		return "principal" in found ? found.principal : found;
	}

	async #judgeCredential(
		credential: string,
		assertion: string | null,
		request: AssertedRequest,
		address: string,
	): Promise<Caller | CallerRefusal> {
		const generation = this.#generation;
		const found = await this.#find(credential, address);
		if (!("principal" in found)) return found;
		const { principal, key } = found;
		if (!(await this.#principals.isGranted(principal.principal_id, request.service)))
			return notGranted(principal, request.service);
		if (generation !== this.#generation && !(await this.#mayStill(principal, request.service))) return takenAway();
		const remembered: Remembered = {
			caller: this.#callerOf(principal, request.service, plainIdentity(principal), false, null),
			key,
			since: this.#clock.now(),
			until: this.#clock.now() + callerLimits.rememberMs,
		};
		if (generation === this.#generation) {
			if (this.#remembered.size >= callerLimits.maxRemembered) {
				const [oldest] = this.#remembered.keys();
				this.#remembered.delete(oldest as string);
			}
			this.#remembered.set(keyOf(request.service, credential), remembered);
		}
		return assertion === null ? remembered.caller : this.#assert(remembered, assertion, request);
	}

	#assert(
		remembered: Remembered,
		text: string,
		request: AssertedRequest,
	): Caller | CallerRefusal | Promise<Caller | CallerRefusal> {
		const assertion = verifyAssertion(remembered.key, text, request);
		if (typeof assertion === "string") return invalid(assertion);
		const principal = remembered.caller.principal as Principal;
		if (assertion.jti === undefined) return this.#asserted(principal, assertion, request);
		const used = `${principal.principal_id}\n${assertion.jti}`;
		const ttlMs = Math.max(1000, (assertion.exp + 60) * 1000 - request.now);
		if (this.#jti.get(used) !== undefined) return usedBefore();
		this.#jti.set(used, true, ttlMs);
		if (this.#once === null) return this.#asserted(principal, assertion, request);
		const generation = this.#generation;
		return this.#useOnce(this.#once, used, ttlMs).then(async (first) => {
			if (!first) return usedBefore();
			if (generation !== this.#generation && !(await this.#mayStill(principal, request.service))) return takenAway();
			return this.#asserted(principal, assertion, request);
		});
	}

	async #useOnce(once: OnceOnly, used: string, ttlMs: number): Promise<boolean> {
		try {
			return await once.use(used, ttlMs);
		} catch (fault) {
			// Nobody knows that it was used: its client, who is told to come again, may.
			this.#jti.delete(used);
			throw fault;
		}
	}

	/** Rights changed while somebody's were looked up: what was read may be of before. */
	async #mayStill(principal: Principal, service: string): Promise<boolean> {
		for (;;) {
			const generation = this.#generation;
			const may = await this.#principals.mayReach(principal.principal_id, service, principal.key_version);
			if (!may || generation === this.#generation) return may;
		}
	}

	#asserted(principal: Principal, assertion: Assertion, request: AssertedRequest): Caller {
		return this.#callerOf(
			principal,
			request.service,
			{
				...plainIdentity(principal),
				subId: assertion.sub_id,
				name: assertion.name ?? principal.name,
				email: assertion.email ?? principal.email,
			},
			false,
			null,
		);
	}

	async #judgeUrlToken(
		text: string,
		request: AssertedRequest,
		address: string,
		ambient: boolean,
	): Promise<Caller | CallerRefusal> {
		const waitMs = this.#failures.waitMs(address);
		if (waitMs > 0) return limited(waitMs);
		const generation = this.#generation;
		const claimed = readUrlToken(text);
		const principal = claimed === null ? null : await this.#principals.find(claimed.p);
		if (claimed === null || principal === null || principal.key_version !== claimed.k || principal.state !== "active") {
			this.#failures.take(address);
			return invalid("The URL token is not valid, or no longer.");
		}
		const token = verifyUrlToken(this.#principals.keyOf(principal), text, request);
		if (typeof token === "string") {
			this.#failures.take(address);
			return invalid(token);
		}
		// The grant may have gone since the token was made.
		if (!(await this.#principals.isGranted(principal.principal_id, request.service)))
			return notGranted(principal, request.service);
		if (generation !== this.#generation && !(await this.#mayStill(principal, request.service))) return takenAway();
		return this.#callerOf(principal, request.service, plainIdentity(principal), ambient, token.e * 1000);
	}

	async #find(credential: string, address: string): Promise<{ principal: Principal; key: Buffer } | CallerRefusal> {
		const waitMs = this.#failures.waitMs(address);
		if (waitMs > 0) return limited(waitMs);
		const parsed = parseCredential(credential);
		const principal = parsed === null ? null : await this.#principals.find(parsed.principalId);
		if (parsed === null || principal === null || principal.state === "revoked") {
			this.#failures.take(address);
			return invalid("The principal's credential is not valid.");
		}
		const key = this.#principals.keyOf(principal);
		if (!equalKeys(key, parsed.key)) {
			this.#failures.take(address);
			return invalid("The principal's credential is not valid, or was rotated.");
		}
		if (principal.state === "pending")
			return {
				ok: false,
				status: 403,
				code: "not_approved",
				message: `Principal ${principal.principal_id} waits for approval.`,
			};
		return { principal, key };
	}

	#callerOf(
		principal: Principal,
		service: string,
		identity: CallerIdentity,
		ambient: boolean,
		tokenEndsAt: number | null,
	): Caller {
		const limits = this.#limitsOf(principal);
		return {
			ok: true,
			principal,
			identity,
			lines: this.#signed.of(principal, service, identity),
			ambient,
			...limits,
			tokenEndsAt,
		};
	}

	#limitsOf(principal: Principal): { throttle: Throttle | null; requests: RateLimit | null } {
		const limits = JSON.stringify(principal.limits);
		const kept = this.#throttles.get(principal.principal_id);
		if (kept !== undefined && kept.limits === limits) return kept;
		const { requestsPerSecond, bytesPerSecond } = principal.limits;
		const made = {
			throttle: bytesPerSecond === undefined ? null : new Throttle(bytesPerSecond),
			requests:
				requestsPerSecond === undefined
					? null
					: new RateLimit(this.#clock, {
							perSecond: requestsPerSecond,
							burst: Math.max(1, requestsPerSecond),
							maxKeys: 1,
						}),
			limits,
		};
		if (made.throttle !== null || made.requests !== null) this.#throttles.set(principal.principal_id, made);
		return made;
	}
}

function plainIdentity(principal: Principal): CallerIdentity {
	return {
		sub: principal.principal_id,
		name: principal.name,
		email: principal.email,
		subId: null,
		registeredName: principal.name,
		registeredEmail: principal.email,
	};
}

/** Found by the runtime's seeded hash of all of it: how much of a guess was right does not show. */
function keyOf(service: string, credential: string): string {
	return `${service}\n${credential}`;
}

function invalid(message: string): CallerRefusal {
	return { ok: false, status: 401, code: "unauthorized", message };
}

function takenAway(): CallerRefusal {
	return invalid("The principal's access was taken away just now, or its credential rotated.");
}

function usedBefore(): CallerRefusal {
	return invalid("The assertion was used before.");
}

function notGranted(principal: Principal, service: string): CallerRefusal {
	return {
		ok: false,
		status: 403,
		code: "no_grant",
		message: `Principal ${principal.principal_id} has no grant for "${service}".`,
	};
}

function limited(retryAfterMs: number): CallerRefusal {
	return {
		ok: false,
		status: 429,
		code: "too_many",
		message: "Too many wrong credentials from this address.",
		retryAfterMs,
	};
}
