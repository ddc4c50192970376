import type { Schema } from "@warren/store";
import type { Kysely } from "kysely";

export interface EnrolledTables {
	tickets_enrolled: { ticket_id: string; local_device_id: string; hub_device_id: string; user_id: string };
}

/** For a node's tables: which of its devices came by which ticket. */
export const enrolledSchema: Schema = {
	domain: "tickets",
	migrations: {
		"001-enrolled": {
			async up(db) {
				await db.schema
					.createTable("tickets_enrolled")
					.addColumn("ticket_id", "text", (column) => column.notNull())
					.addColumn("local_device_id", "text", (column) => column.primaryKey())
					.addColumn("hub_device_id", "text", (column) => column.notNull())
					.addColumn("user_id", "text", (column) => column.notNull())
					.execute();
			},
		},
	},
};

/** So that a ticket's revocation ends what it enrolled. */
export class Enrolled {
	readonly #db: Kysely<EnrolledTables>;

	constructor(db: Kysely<EnrolledTables>) {
		this.#db = db;
	}

	async add(
		ticket: { readonly ticketId: string; readonly deviceId: string; readonly userId: string },
		localDeviceId: string,
	): Promise<void> {
		await this.#db
			.insertInto("tickets_enrolled")
			.values({
				ticket_id: ticket.ticketId,
				local_device_id: localDeviceId,
				hub_device_id: ticket.deviceId,
				user_id: ticket.userId,
			})
			.execute();
	}

	/** @param revoke ends one local device; a device that is already gone is none of its faults. */
	async end(ticketIds: readonly string[], revoke: (localDeviceId: string) => Promise<void>): Promise<void> {
		if (ticketIds.length === 0) return;
		const rows = await this.#db
			.selectFrom("tickets_enrolled")
			.select("local_device_id")
			.where("ticket_id", "in", ticketIds)
			.execute();
		for (const { local_device_id: id } of rows) {
			await revoke(id);
			await this.#db.deleteFrom("tickets_enrolled").where("local_device_id", "=", id).execute();
		}
	}
}
