import { type Clock, newId, type Random } from "@warren/kernel";
import { type Kysely, sql } from "kysely";
import { accountsError } from "../errors.ts";
import type { AccountsTables } from "../schema.ts";
import { type RevocationList, sealRevocations } from "./revocation-list.ts";
import type { TicketSigner } from "./ticket.ts";

export const ticketLimits = {
	/** Days, not months: what a stolen key is good for with the hub away. */
	lifetimeMs: 7 * 24 * 3600 * 1000,
	maxPerDevice: 200,
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

	constructor(db: Kysely<AccountsTables>, clock: Clock, random: Random, signer: TicketSigner) {
		this.#db = db;
		this.#clock = clock;
		this.#random = random;
		this.#signer = signer;
	}

	/**
	 * An earlier ticket of this device for this node is taken back.
	 * @param sessionExpiresAt a ticket never outlives the session that asked for it. @throws WarrenError `too_many`.
	 */
	async issue(
		device: { readonly userId: string; readonly deviceId: string; readonly sessionExpiresAt: number },
		node: string,
		deviceKey: string,
	): Promise<{ readonly ticket: string; readonly ticketId: string; readonly expiresAt: number }> {
		const now = this.#clock.now();
		await this.#db.deleteFrom("accounts_tickets").where("expires_at", "<=", now).execute();
		const own = await this.#db
			.selectFrom("accounts_tickets")
			.select(["id", "node_id", "expires_at"])
			.where("device_id", "=", device.deviceId)
			.execute();
		const replaced = own.filter((row) => row.node_id === node);
		if (own.length - replaced.length >= ticketLimits.maxPerDevice)
			throw accountsError("too_many", `This device already has ${ticketLimits.maxPerDevice} tickets.`);
		await this.#revoke(replaced.map((row) => ({ id: row.id, expiresAt: Number(row.expires_at) })));
		const ticketId = newId(this.#random);
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

	async list(userId: string): Promise<Ticket[]> {
		const rows = await this.#db
			.selectFrom("accounts_tickets")
			.selectAll()
			.where("user_id", "=", userId)
			.where("expires_at", ">", this.#clock.now())
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
			.select(["id", "expires_at"])
			.where("user_id", "=", userId)
			.where("id", "=", id)
			.executeTakeFirst();
		if (row === undefined) throw accountsError("unknown_ticket", `There is no ticket "${id.slice(0, 40)}" of yours.`);
		await this.#revoke([{ id: row.id, expiresAt: Number(row.expires_at) }]);
	}

	/** What a device was given ends with its session. */
	async revokeDevices(deviceIds: readonly string[]): Promise<void> {
		if (deviceIds.length === 0) return;
		const rows = await this.#db
			.selectFrom("accounts_tickets")
			.select(["id", "expires_at"])
			.where("device_id", "in", deviceIds)
			.execute();
		await this.#revoke(rows.map((row) => ({ id: row.id, expiresAt: Number(row.expires_at) })));
	}

	/** At the start: sessions that ended while the last write was under way. */
	async reconcile(living: (deviceIds: readonly string[]) => Promise<ReadonlySet<string>>): Promise<void> {
		const rows = await this.#db.selectFrom("accounts_tickets").select("device_id").distinct().execute();
		const devices = rows.map((row) => row.device_id);
		const alive = await living(devices);
		await this.revokeDevices(devices.filter((id) => !alive.has(id)));
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

	async #revoke(tickets: readonly { readonly id: string; readonly expiresAt: number }[]): Promise<void> {
		const now = this.#clock.now();
		for (const ticket of tickets) {
			if (ticket.expiresAt > now) await this.#publish(ticket, now);
			await this.#db.deleteFrom("accounts_tickets").where("id", "=", ticket.id).execute();
		}
		// The newest stays, ended or not: its number must never be given twice.
		await this.#db
			.deleteFrom("accounts_revocations")
			.where("expires_at", "<=", now)
			.where("seq", "<", (each) => each.selectFrom("accounts_revocations").select(({ fn }) => fn.max("seq").as("seq")))
			.execute();
	}

	async #publish(ticket: { readonly id: string; readonly expiresAt: number }, now: number): Promise<void> {
		for (let tries = 1; ; tries += 1) {
			try {
				await this.#db
					.insertInto("accounts_revocations")
					.values({
						seq: sql<number>`(select coalesce(max(seq), 0) + 1 from accounts_revocations)`,
						ticket_id: ticket.id,
						revoked_at: now,
						expires_at: ticket.expiresAt,
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
