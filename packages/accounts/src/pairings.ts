import { type Clock, type Closeable, hashToken, newId, newSecret, type Random } from "@warren/kernel";
import type { Bus } from "@warren/store";
import type { Kysely, Selectable } from "kysely";
import { accountsError } from "./errors.ts";
import type { AccountsTables } from "./schema.ts";

export const pairingLimits = {
	lifetimeMs: 3 * 60_000,
	maxOpenPerUser: 5,
	/** The new device asks again after this long without an answer. */
	waitMs: 25_000,
	maxWaiting: 500,
	perAddress: { perSecond: 0.2, burst: 10, maxKeys: 10_000 },
} as const;

const changedSubject = "accounts.pairings";

/**
 * ```
 *          POST /auth/pair         confirm {allow}        the new device has its token
 * waiting ───────────────► claimed ──────────► confirmed ───────────► (row gone)
 *                             └──── {allow: false} ──► denied
 * ```
 * Every state ends with the code's three minutes.
 */
export type PairingState = "waiting" | "claimed" | "confirmed" | "denied";

export interface Pairing {
	readonly id: string;
	readonly state: PairingState;
	/** Of the device that came with the code; empty while none did. */
	readonly deviceName: string;
	readonly address: string;
	readonly expiresAt: number;
}

/** A new device by a code that a signed-in one shows: a session of its own, after a look at both screens. */
export class Pairings implements Closeable {
	readonly #db: Kysely<AccountsTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #waiting = new Map<string, Set<() => void>>();
	readonly #bus: Bus | undefined;
	readonly #subscription: Closeable | undefined;

	/** @param bus where several hubs share the tables: who waits at one hears of a decision at another. */
	constructor(db: Kysely<AccountsTables>, clock: Clock, random: Random, bus?: Bus) {
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
		this.#bus = bus;
		this.#subscription = bus?.subscribe(changedSubject, ({ data }) => this.#wake(Buffer.from(data).toString()));
	}

	close(): void {
		void this.#subscription?.close();
	}

	/** @throws WarrenError `too_many`. */
	async make(userId: string): Promise<{ readonly id: string; readonly code: string; readonly expiresAt: number }> {
		const now = this.#clock.now();
		await this.#db.deleteFrom("accounts_pairings").where("expires_at", "<=", now).execute();
		const { open } = await this.#db
			.selectFrom("accounts_pairings")
			.select((each) => each.fn.countAll<number>().as("open"))
			.where("user_id", "=", userId)
			.executeTakeFirstOrThrow();
		if (Number(open) >= pairingLimits.maxOpenPerUser)
			throw accountsError("too_many", `There are already ${pairingLimits.maxOpenPerUser} open pairings of yours.`, {
				fix: "Wait three minutes: they end by themselves.",
			});
		const code = newSecret(this.#random);
		const id = newId(this.#random);
		const expiresAt = now + pairingLimits.lifetimeMs;
		await this.#db
			.insertInto("accounts_pairings")
			.values({
				id,
				code_hash: hashToken(code),
				user_id: userId,
				state: "waiting",
				device_name: "",
				device_key: null,
				address: "",
				created_at: now,
				expires_at: expiresAt,
			})
			.execute();
		return { id, code, expiresAt };
	}

	/** @throws WarrenError `unknown_pairing`. */
	async get(userId: string, id: string): Promise<Pairing> {
		const row = await this.#db
			.selectFrom("accounts_pairings")
			.selectAll()
			.where("id", "=", id)
			.where("user_id", "=", userId)
			.where("expires_at", ">", this.#clock.now())
			.executeTakeFirst();
		if (row === undefined)
			throw accountsError("unknown_pairing", "This pairing has ended.", { fix: "Show a new code." });
		return pairingOf(row);
	}

	/** Waits until the pairing's state is another than `from`, it ends, `waitMs` pass, or `signal` aborts. */
	async changed(id: string, from: PairingState, signal: AbortSignal): Promise<void> {
		let done = () => {};
		const woken = new Promise<void>((resolve) => {
			const waiters = this.#waiting.get(id) ?? new Set();
			this.#waiting.set(id, waiters);
			done = () => {
				timer.cancel();
				signal.removeEventListener("abort", done);
				waiters.delete(done);
				if (waiters.size === 0) this.#waiting.delete(id);
				resolve();
			};
			const timer = this.#clock.after(pairingLimits.waitMs, done);
			signal.addEventListener("abort", done, { once: true });
			waiters.add(done);
			if (signal.aborted || this.#waiting.size > pairingLimits.maxWaiting) done();
		});
		// Only who listens already may look: a change between a look and the wait would be waited for in vain.
		try {
			if ((await this.state(id)) !== from) done();
		} catch (failed) {
			done();
			throw failed;
		}
		await woken;
	}

	/**
	 * A device came with the code. The code is bound to the first one: another with the same code is refused, so that a
	 * code read over a shoulder shows.
	 * @returns the pairing and whose it is. @throws WarrenError `bad_code`.
	 */
	async claim(
		code: string,
		device: { readonly name: string; readonly key: string | null; readonly address: string },
	): Promise<{ readonly id: string; readonly userId: string; readonly state: PairingState }> {
		const now = this.#clock.now();
		const codeHash = hashToken(code);
		const claimed = await this.#db
			.updateTable("accounts_pairings")
			.set({ state: "claimed", device_name: device.name, device_key: device.key, address: device.address })
			.where("code_hash", "=", codeHash)
			.where("state", "=", "waiting")
			.where("expires_at", ">", now)
			.returning(["id", "user_id"])
			.executeTakeFirst();
		if (claimed !== undefined) {
			this.#tell(claimed.id);
			return { id: claimed.id, userId: claimed.user_id, state: "claimed" };
		}
		const row = await this.#db
			.selectFrom("accounts_pairings")
			.selectAll()
			.where("code_hash", "=", codeHash)
			.where("expires_at", ">", now)
			.executeTakeFirst();
		const same = row?.device_name === device.name && row.device_key === device.key && row.address === device.address;
		if (row === undefined || !same)
			throw accountsError("bad_code", "This pairing code was used, or is over three minutes old.");
		return { id: row.id, userId: row.user_id, state: row.state as PairingState };
	}

	/** @throws WarrenError `unknown_pairing`, `pairing_waiting`. */
	async decide(userId: string, id: string, allow: boolean): Promise<Pairing> {
		const pairing = await this.get(userId, id);
		const decided = await this.#db
			.updateTable("accounts_pairings")
			.set({ state: allow ? "confirmed" : "denied" })
			.where("id", "=", id)
			.where("state", "=", "claimed")
			.returningAll()
			.executeTakeFirst();
		if (decided === undefined)
			throw accountsError(
				"pairing_waiting",
				pairing.state === "waiting" ? "No device has come with this code yet." : "This pairing is already decided.",
			);
		this.#tell(id);
		// Not read again: the new device may have used the row up by now.
		return pairingOf(decided);
	}

	/** The code is used up by this. @returns whether this call was the one. */
	async spend(id: string): Promise<boolean> {
		const done = await this.#db
			.deleteFrom("accounts_pairings")
			.where("id", "=", id)
			.where("state", "=", "confirmed")
			.where("expires_at", ">", this.#clock.now())
			.executeTakeFirst();
		return Number(done.numDeletedRows) === 1;
	}

	/** What these people confirmed and nobody has used: it may have been confirmed on a device that they sign out. */
	async takeBack(userIds: readonly string[]): Promise<void> {
		await this.#db
			.deleteFrom("accounts_pairings")
			.where("user_id", "in", userIds)
			.where("state", "=", "confirmed")
			.execute();
	}

	async state(id: string): Promise<PairingState | null> {
		const row = await this.#db
			.selectFrom("accounts_pairings")
			.select("state")
			.where("id", "=", id)
			.where("expires_at", ">", this.#clock.now())
			.executeTakeFirst();
		return (row?.state ?? null) as PairingState | null;
	}

	#tell(id: string): void {
		this.#wake(id);
		this.#bus?.publish(changedSubject, Buffer.from(id));
	}

	#wake(id: string): void {
		for (const done of this.#waiting.get(id) ?? []) done();
	}
}

function pairingOf(row: Selectable<AccountsTables["accounts_pairings"]>): Pairing {
	return {
		id: row.id,
		state: row.state as PairingState,
		deviceName: row.device_name,
		address: row.address,
		expiresAt: Number(row.expires_at),
	};
}
