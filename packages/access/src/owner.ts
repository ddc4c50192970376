import { createHmac } from "node:crypto";
import { type Clock, ExpiringMap, equalSecrets, type Random, RateLimit, type Verdict } from "@warren/kernel";
import type { Kysely } from "kysely";
import { accessError } from "./errors.ts";
import { hashPin, verifyPin } from "./pin-hash.ts";
import type { AccessTables } from "./schema.ts";

export const ownerLimits = {
	/** A right PIN is remembered this long for its address, under a keyed hash: scrypt costs tens of milliseconds. */
	verdictMs: 60_000,
	maxVerdicts: 256,
	/** Wrong PINs from one address: a burst, then one each ten seconds. */
	perAddress: { perSecond: 0.1, burst: 10, maxKeys: 10_000 },
	/** Checks in all, so that a crowd of addresses cannot buy the processor. */
	inAll: { perSecond: 5, burst: 30, maxKeys: 1 },
	minPinLength: 6,
	maxPinLength: 128,
} as const;

/** The node's own user and PIN: the spare key that works when no hub does. */
export class Owner {
	readonly #db: Kysely<AccessTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #verdicts: ExpiringMap<string, true>;
	readonly #perAddress: RateLimit;
	readonly #inAll: RateLimit;
	readonly #verdictKey: Uint8Array;
	/** Checks under way: the same credential from the same address waits for the one that runs. */
	readonly #checking = new Map<string, Promise<Verdict>>();
	readonly #watchers = new Set<(before: string) => void>();
	#userName: string;
	#pinHash: string;

	private constructor(db: Kysely<AccessTables>, clock: Clock, random: Random, userName: string, pinHash: string) {
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
		this.#userName = userName;
		this.#pinHash = pinHash;
		this.#verdicts = new ExpiringMap(clock, ownerLimits.maxVerdicts);
		this.#perAddress = new RateLimit(clock, ownerLimits.perAddress);
		this.#inAll = new RateLimit(clock, ownerLimits.inAll);
		this.#verdictKey = random.bytes(32);
	}

	/**
	 * @param first user and PIN for a node that has none yet; also replaces those it has when `replace` is set (from the
	 *   environment).
	 * @returns the owner, and whether `first` was written now.
	 */
	static async open(
		db: Kysely<AccessTables>,
		clock: Clock,
		random: Random,
		first: { readonly user: string; readonly pin: string; readonly replace: boolean },
	): Promise<{ owner: Owner; created: boolean }> {
		const row = await db.selectFrom("access_owner").selectAll().where("id", "=", 1).executeTakeFirst();
		const owner = new Owner(db, clock, random, row?.user_name ?? "", row?.pin_hash ?? "");
		const same =
			row !== undefined &&
			row.user_name === first.user &&
			(!first.replace || (await verifyPin(first.pin, row.pin_hash)));
		if (row === undefined || (first.replace && !same)) {
			await owner.change(first.user, first.pin);
			return { owner, created: true };
		}
		return { owner, created: false };
	}

	get userName(): string {
		return this.#userName;
	}

	/** @throws WarrenError `bad_user`, `bad_pin`. */
	assertUsable(user: string, pin: string): void {
		if (!/^[\p{L}\p{N}][\p{L}\p{N}._-]{0,63}$/u.test(user))
			throw accessError("bad_user", `"${user.slice(0, 80)}" cannot be a user's name.`);
		const length = [...pin].length;
		if (
			length < ownerLimits.minPinLength ||
			length > ownerLimits.maxPinLength ||
			pin.toLowerCase() === user.toLowerCase()
		) {
			throw accessError("bad_pin", `This PIN has ${length} characters or repeats the user's name.`);
		}
	}

	/** @throws WarrenError `bad_user`, `bad_pin`. */
	async change(user: string, pin: string): Promise<void> {
		this.assertUsable(user, pin);
		const pinHash = await hashPin(pin, this.#random);
		const row = { id: 1, user_name: user, pin_hash: pinHash, changed_at: this.#clock.now() };
		await this.#db
			.insertInto("access_owner")
			.values(row)
			.onConflict((conflict) => conflict.column("id").doUpdateSet(row))
			.execute();
		const before = this.#userName;
		this.#userName = user;
		this.#pinHash = pinHash;
		this.#verdicts.clear();
		for (const watcher of this.#watchers) watcher(before);
	}

	/** For closing what was opened with the PIN of before. @param watcher called with the user's name until now. */
	onChanged(watcher: (before: string) => void): void {
		this.#watchers.add(watcher);
	}

	/** Checks user and PIN: limited per address and in all, equal time for an unknown user, cheap once it was right. */
	async verify(user: string, pin: string, remoteAddress: string): Promise<Verdict> {
		const cacheKey = createHmac("sha256", this.#verdictKey)
			.update(JSON.stringify([remoteAddress, user, pin]))
			.digest("base64");
		let checking = this.#checking.get(cacheKey);
		if (checking !== undefined) return checking;
		// Before what is remembered: else whoever is over the limit goes on guessing, and hits upon the owner's own sign-in.
		const waitMs = this.#perAddress.waitMs(remoteAddress);
		if (waitMs > 0) return limited(waitMs);
		if (this.#verdicts.get(cacheKey) === true) return this.#accepted();
		checking = this.#check(user, pin, remoteAddress, cacheKey).finally(() => this.#checking.delete(cacheKey));
		this.#checking.set(cacheKey, checking);
		return checking;
	}

	async #check(user: string, pin: string, remoteAddress: string, cacheKey: string): Promise<Verdict> {
		// Both are taken before the check, so that parallel guesses cannot slip under them; the common one only by those
		// whom their own lets through, so that one address cannot use it up for all.
		const waitMs = this.#perAddress.take(remoteAddress) || this.#inAll.take("all");
		if (waitMs > 0) return limited(waitMs);
		const pinHash = this.#pinHash;
		const rightPin = await verifyPin(pin, pinHash);
		const right = equalSecrets(user, this.#userName) && rightPin && pinHash === this.#pinHash;
		if (!right) return { ok: false, reason: "invalid", message: "User or PIN is wrong." };
		this.#perAddress.forgive(remoteAddress);
		this.#verdicts.set(cacheKey, true, ownerLimits.verdictMs);
		return this.#accepted();
	}

	#accepted(): Verdict {
		return { ok: true, kind: "basic", identity: { kind: "operator", name: this.#userName } };
	}
}

function limited(waitMs: number): Verdict {
	return {
		ok: false,
		reason: "limited",
		message: `Too many wrong PINs. Wait ${Math.ceil(waitMs / 1000)} s.`,
		retryAfterMs: waitMs,
	};
}
