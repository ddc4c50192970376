import {
	type Audit,
	type Clock,
	type Closeable,
	hashToken,
	newId,
	newSecret,
	type Random,
	RateLimit,
} from "@warren/kernel";
import type { RequestContext, Route } from "@warren/net";
import type { Bus } from "@warren/store";
import type { Kysely, Selectable } from "kysely";
import { z } from "zod";
import type { ClientAddressOf } from "./client-address.ts";
import { cleanName, maxDeviceNameLength } from "./device-name.ts";
import { accountsError } from "./errors.ts";
import { answer, recordTo, userOf } from "./hub-route.ts";
import type { People } from "./people.ts";
import type { AccountsTables } from "./schema.ts";
import { deviceKeySchema, thumbprint } from "./tickets/device-key.ts";

export const pairingLimits = {
	lifetimeMs: 3 * 60_000,
	maxOpenPerUser: 5,
	/** The new device asks again after this long without an answer. */
	waitMs: 25_000,
	maxWaiting: 500,
	perAddress: { perSecond: 0.2, burst: 10, maxKeys: 10_000 },
} as const;

const changedSubject = "accounts.pairings";

const pairBody = z.object({
	code: z.string().min(20).max(100),
	deviceName: z
		.string()
		.max(4 * maxDeviceNameLength)
		.transform(cleanName)
		.pipe(z.string().min(1).max(maxDeviceNameLength)),
	publicKey: deviceKeySchema.optional(),
});
const confirmBody = z.object({ allow: z.boolean().default(true) });

/**
 * ```
 *          POST /auth/pair         confirm {allow}        the new device has its token
 * waiting ───────────────► claimed ──────────► confirmed ───────────► (row gone)
 *                             └──── {allow: false} ──► denied
 * ```
 * Every state ends with the code's three minutes.
 */
type State = "waiting" | "claimed" | "confirmed" | "denied";

export interface Pairing {
	readonly id: string;
	readonly state: State;
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
	async changed(id: string, from: State, signal: AbortSignal): Promise<void> {
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
	): Promise<{ readonly id: string; readonly userId: string; readonly state: State }> {
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
		return { id: row.id, userId: row.user_id, state: row.state as State };
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

	async state(id: string): Promise<State | null> {
		const row = await this.#db
			.selectFrom("accounts_pairings")
			.select("state")
			.where("id", "=", id)
			.where("expires_at", ">", this.#clock.now())
			.executeTakeFirst();
		return (row?.state ?? null) as State | null;
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
		state: row.state as State,
		deviceName: row.device_name,
		address: row.address,
		expiresAt: Number(row.expires_at),
	};
}

/** `/me/pairings`, `/auth/pair`: docs/api-hub.md. */
export function pairingRoutes(deps: {
	readonly pairings: Pairings;
	readonly people: People;
	readonly clock: Clock;
	readonly audit: Audit;
	readonly hubUrl: string;
	/** SHA-256 of the certificate or CA that a new device shall find there; null with plain HTTP. */
	readonly fingerprint: () => string | null;
	readonly addressOf: ClientAddressOf;
}): Route[] {
	const { pairings, people } = deps;
	const owner = "hub";
	const record = recordTo(deps.audit);
	const tries = new RateLimit(deps.clock, pairingLimits.perAddress);
	return [
		{
			owner,
			method: "POST",
			path: "/me/pairings",
			about: { summary: "A code that signs a new device in" },
			credentials: ["session"],
			handle: async (context) => {
				const user = userOf(context);
				const { id, code, expiresAt } = await pairings.make(user.userId);
				record(context, "pairing.create", id);
				return answer(
					{ id, code, url: `${deps.hubUrl}/#pair=${code}`, fingerprint: deps.fingerprint(), expiresAt },
					201,
				);
			},
		},
		{
			owner,
			method: "GET",
			path: "/me/pairings/:pairing",
			about: { summary: "How a pairing stands; ?wait=STATE waits for another" },
			credentials: ["session"],
			handle: async (context) => {
				const id = context.params["pairing"] ?? "";
				const userId = userOf(context).userId;
				const now = await pairings.get(userId, id);
				// `?wait=STATE`: answers when it is no longer that one, so that the issuer's screen need not poll.
				if (context.query.get("wait") !== now.state) return answer(now);
				await pairings.changed(id, now.state, context.signal);
				return answer(await pairings.get(userId, id));
			},
		},
		{
			owner,
			method: "POST",
			path: "/me/pairings/:pairing/confirm",
			about: { summary: "Let the new device in, or not", body: confirmBody },
			credentials: ["session"],
			handle: async (context) => {
				const id = context.params["pairing"] ?? "";
				const { allow } = await context.json(confirmBody);
				const pairing = await pairings.decide(userOf(context).userId, id, allow);
				record(context, allow ? "pairing.confirm" : "pairing.deny", id, { details: { device: pairing.deviceName } });
				return answer(pairing);
			},
		},
		{
			owner,
			method: "POST",
			path: "/auth/pair",
			about: { summary: "Come with a code as the new device, and wait", body: pairBody },
			credentials: ["none"],
			handle: async (context) => {
				const body = await context.json(pairBody);
				return pair(context, body);
			},
		},
	];

	/** Long-polls: 202 `{state: "claimed"}` means ask again with the same code. */
	async function pair(context: RequestContext, body: z.infer<typeof pairBody>): Promise<Response> {
		const address = await deps.addressOf(context);
		const waitMs = tries.waitMs(address);
		if (waitMs > 0)
			throw accountsError("rate_limited", `Too many pairing codes from ${address}.`, {
				details: { retryAfterMs: waitMs },
			});
		const key = body.publicKey === undefined ? null : thumbprint(body.publicKey);
		const claimed = await pairings.claim(body.code, { name: body.deviceName, key, address }).catch((refused) => {
			tries.take(address);
			throw refused;
		});
		let state: State | null = claimed.state;
		if (state === "claimed") {
			await pairings.changed(claimed.id, state, context.signal);
			state = await pairings.state(claimed.id);
		}
		switch (state) {
			case "waiting":
			case "claimed":
				return answer({ state: "claimed" }, 202);
			case "denied":
				throw accountsError("pairing_denied", "The other device refused this pairing.");
			case null:
				throw accountsError("bad_code", "This pairing code has ended.");
			case "confirmed":
				break;
		}
		if (!(await pairings.spend(claimed.id))) throw accountsError("bad_code", "This pairing code was used.");
		const session = await people.newSession(claimed.userId, {
			name: body.deviceName,
			key,
			address,
			userAgent: String(context.headers["user-agent"] ?? ""),
		});
		record(context, "pairing.complete", session.deviceId);
		return answer({ ...session, user: await people.person(claimed.userId) }, 201);
	}
}
