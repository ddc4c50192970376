import type { Audit, AuditEvent, AuditRecord, Clock, Logger } from "@warren/kernel";
import { messageOf } from "@warren/kernel";
import type { Kysely } from "kysely";
import { engineOf, type Schema } from "./tables.ts";

export interface AuditTable {
	audit_records: {
		id: number;
		at: number;
		actor: string;
		action: string;
		target: string;
		outcome: string;
		address: string;
		/** JSON object. */
		details: string;
	};
}

export const auditSchema: Schema = {
	domain: "audit",
	migrations: {
		"001-records": {
			async up(db) {
				await db.schema
					.createTable("audit_records")
					.addColumn("id", engineOf(db) === "postgres" ? "serial" : "integer", (column) =>
						engineOf(db) === "postgres" ? column.primaryKey() : column.primaryKey().autoIncrement(),
					)
					.addColumn("at", "bigint", (column) => column.notNull())
					.addColumn("actor", "text", (column) => column.notNull())
					.addColumn("action", "text", (column) => column.notNull())
					.addColumn("target", "text", (column) => column.notNull())
					.addColumn("outcome", "text", (column) => column.notNull())
					.addColumn("address", "text", (column) => column.notNull())
					.addColumn("details", "text", (column) => column.notNull())
					.execute();
			},
		},
	},
};

/** Oldest records go first above this many. */
const maxAuditRecords = 100_000;

/** The audit kept in tables. A record that cannot be written is logged, never thrown at whoever acted. */
export class AuditLog implements Audit {
	readonly #db: Kysely<AuditTable>;
	readonly #clock: Clock;
	readonly #logger: Logger;

	constructor(db: Kysely<AuditTable>, clock: Clock, logger: Logger) {
		this.#db = db;
		this.#clock = clock;
		this.#logger = logger;
	}

	record(event: AuditEvent): void {
		const row = {
			at: this.#clock.now(),
			actor: event.actor,
			action: event.action,
			target: event.target,
			outcome: event.outcome,
			address: event.address,
			details: JSON.stringify(event.details ?? {}),
		};
		this.#write(row).catch((failure: unknown) =>
			this.#logger.error("audit record lost", { ...row, fault: messageOf(failure) }),
		);
	}

	async list(options: { readonly limit: number; readonly before?: number }): Promise<AuditRecord[]> {
		let query = this.#db.selectFrom("audit_records").selectAll().orderBy("id", "desc").limit(options.limit);
		if (options.before !== undefined) query = query.where("id", "<", options.before);
		const rows = await query.execute();
		return rows.map((row) => ({
			...row,
			outcome: row.outcome as AuditRecord["outcome"],
			details: JSON.parse(row.details) as Record<string, unknown>,
		}));
	}

	async #write(row: Omit<AuditTable["audit_records"], "id">): Promise<void> {
		const inserted = await this.#db
			.insertInto("audit_records")
			.values(row as AuditTable["audit_records"])
			.returning("id")
			.executeTakeFirstOrThrow();
		if (inserted.id % 1000 === 0)
			await this.#db
				.deleteFrom("audit_records")
				.where("id", "<=", inserted.id - maxAuditRecords)
				.execute();
	}
}
