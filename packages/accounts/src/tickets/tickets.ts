import { type Clock, type Closeable, newId, type Random } from "@warren/kernel";
import { type Kysely, sql } from "kysely";
import { accountsError } from "../errors.ts";
import type { AccountsTables } from "../schema.ts";
import { type RevocationList, sealRevocations } from "./revocation-list.ts";
import type { TicketSigner } from "./ticket.ts";

export const ticketLimits = {
	/** Days, not months: what a stolen key is good for with the hub away. */
	lifetimeMs: 7 * 24 * 3600 * 1000,
	maxPerDevice: 200,
	/** What a ticket enrolled outlives the ticket, so its revocation must too: a machine that was off hears it later. */
	revocationMs: 400 * 24 * 3600 * 1000,
} as const;

/** Two hubs that number a revocation at once: one tries again. */
const maxNumberingTries = 5;

export interface Ticket {
	readonly id: string;
	readonly deviceId: string;
	readonly node: string;
	readonly createdAt: number;
	readonly expiresAt: number;
}

/** The tickets that a hub has signed, and those that it has taken back. */
export class Tickets {
	readonly #db: Kysely<AccountsTables>;
	readonly #clock: Clock;
	readonly #random: Random;
	readonly #signer: TicketSigner;
	readonly #watchers = new Set<() => void>();

	constructor(db: Kysely<AccountsTables>, clock: Clock, random: Random, signer: TicketSigner) {
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
		this.#signer = signer;
	}

	/**
	 * A ticket of the same device, node and key keeps its identifier when it is renewed: revoking it ends everything that
	 * any of its copies enrolled. Another key makes another ticket, and the old one is taken back.
	 * @param sessionExpiresAt a ticket never outlives the session that asked for it. @throws WarrenError `too_many`.
	 */
	async issue(
		device: { readonly userId: string; readonly deviceId: string; readonly sessionExpiresAt: number },
		node: string,
		deviceKey: string,
	): Promise<{ readonly ticket: string; readonly ticketId: string; readonly expiresAt: number }> {
		const now = this.#clock.now();
		const own = await this.#db
			.selectFrom("accounts_tickets")
			.select(["id", "node_id", "device_key"])
			.where("device_id", "=", device.deviceId)
			.execute();
		const here = own.filter((row) => row.node_id === node);
		await this.#revoke(here.filter((row) => row.device_key !== deviceKey).map((row) => row.id));
		if (own.length - here.length >= ticketLimits.maxPerDevice)
			throw accountsError("too_many", `This device already has ${ticketLimits.maxPerDevice} tickets.`);
		const ticketId = here.find((row) => row.device_key === deviceKey)?.id ?? newId(this.#random);
		const expiresAt = Math.min(now + ticketLimits.lifetimeMs, device.sessionExpiresAt);
		await this.#db
			.insertInto("accounts_tickets")
			.values({
				id: ticketId,
				user_id: device.userId,
				device_id: device.deviceId,
				node_id: node,
				device_key: deviceKey,
				created_at: now,
				expires_at: expiresAt,
			})
			.onConflict((conflict) => conflict.column("id").doUpdateSet({ expires_at: expiresAt }))
			.execute();
		const ticket = this.#signer.ticket({
			ticketId,
			userId: device.userId,
			deviceId: device.deviceId,
			node,
			deviceKey,
			iat: now,
			exp: expiresAt,
		});
		return { ticket, ticketId, expiresAt };
	}

	/** Ended ones too: what they enrolled may live on. */
	async list(userId: string): Promise<Ticket[]> {
		const rows = await this.#db
			.selectFrom("accounts_tickets")
			.selectAll()
			.where("user_id", "=", userId)
			.orderBy("created_at", "desc")
			.execute();
		return rows.map((row) => ({
			id: row.id,
			deviceId: row.device_id,
			node: row.node_id,
			createdAt: Number(row.created_at),
			expiresAt: Number(row.expires_at),
		}));
	}

	/** @throws WarrenError `unknown_ticket`. */
	async revoke(userId: string, id: string): Promise<void> {
		const row = await this.#db
			.selectFrom("accounts_tickets")
			.select("id")
			.where("user_id", "=", userId)
			.where("id", "=", id)
			.executeTakeFirst();
		if (row === undefined) throw accountsError("unknown_ticket", `There is no ticket "${id.slice(0, 40)}" of yours.`);
		await this.#revoke([row.id]);
	}

	/** What a device was given ends with its session. */
	async revokeDevices(deviceIds: readonly string[]): Promise<void> {
		if (deviceIds.length === 0) return;
		const rows = await this.#db
			.selectFrom("accounts_tickets")
			.select("id")
			.where("device_id", "in", deviceIds)
			.execute();
		await this.#revoke(rows.map((row) => row.id));
	}

	/**
	 * At the start: a ticket that is good while its session is gone was on its way to be taken back when the process
	 * ended. (A session that ran out outlives its tickets.)
	 */
	async reconcile(living: (deviceIds: readonly string[]) => Promise<ReadonlySet<string>>): Promise<void> {
		const rows = await this.#db
			.selectFrom("accounts_tickets")
			.select("device_id")
			.where("expires_at", ">", this.#clock.now())
			.distinct()
			.execute();
		const devices = rows.map((row) => row.device_id);
		const alive = await living(devices);
		await this.revokeDevices(devices.filter((id) => !alive.has(id)));
	}

	/** Called after tickets were revoked: what they enrolled must end. */
	watch(watcher: () => void): Closeable {
		this.#watchers.add(watcher);
		return { close: () => void this.#watchers.delete(watcher) };
	}

	/** The signed list, and its ETag. */
	async revocations(): Promise<{ readonly sealed: string; readonly etag: string }> {
		const now = this.#clock.now();
		const rows = await this.#db.selectFrom("accounts_revocations").selectAll().orderBy("seq").execute();
		const seq = Number(rows.at(-1)?.seq ?? 0);
		const tickets = rows
			.map((row) => ({ id: row.ticket_id, exp: Number(row.expires_at) }))
			.filter((ticket) => ticket.exp > now);
		const list: RevocationList = { seq, tickets };
		return { sealed: sealRevocations(this.#signer, list), etag: `"${seq}.${tickets.length}"` };
	}

	async #revoke(ticketIds: readonly string[]): Promise<void> {
		if (ticketIds.length === 0) return;
		const now = this.#clock.now();
		for (const id of ticketIds) {
			await this.#publish(id, now);
			await this.#db.deleteFrom("accounts_tickets").where("id", "=", id).execute();
		}
		for (const watcher of this.#watchers) watcher();
		// The newest stays, ended or not: its number must never be given twice.
		await this.#db
			.deleteFrom("accounts_revocations")
			.where("expires_at", "<=", now)
			.where("seq", "<", (each) => each.selectFrom("accounts_revocations").select(({ fn }) => fn.max("seq").as("seq")))
			.execute();
	}

	async #publish(ticketId: string, now: number): Promise<void> {
		for (let tries = 1; ; tries += 1) {
			try {
				await this.#db
					.insertInto("accounts_revocations")
					.values({
						seq: sql<number>`(select coalesce(max(seq), 0) + 1 from accounts_revocations)`,
						ticket_id: ticketId,
						revoked_at: now,
						expires_at: now + ticketLimits.revocationMs,
					})
					.onConflict((conflict) => conflict.column("ticket_id").doNothing())
					.execute();
				return;
			} catch (fault) {
				if (tries >= maxNumberingTries) throw fault;
			}
		}
	}
}
