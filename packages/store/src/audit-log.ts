import type { Audit, AuditEvent, AuditQuery, AuditRecord, Clock, Logger } from "@warren/kernel";
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
		role: string;
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
		"002-role": {
			async up(db) {
				await db.schema
					.alterTable("audit_records")
					.addColumn("role", "text", (column) => column.notNull().defaultTo(""))
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
	readonly #role: string;
	readonly #onRecorded: () => void;

	/** @param onRecorded once a record is on disk. */
	constructor(
		db: Kysely<AuditTable>,
		clock: Clock,
		logger: Logger,
		{ role = "", onRecorded = () => {} }: { readonly role?: string; readonly onRecorded?: () => void } = {},
	) {
		this.#role = role;
		this.#onRecorded = onRecorded;
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
			role: event.role ?? this.#role,
		};
		this.#write(row).catch((failure: unknown) =>
			this.#logger.error("audit record lost", { ...row, fault: messageOf(failure) }),
		);
	}

	async list({ limit, before, role, actor }: AuditQuery): Promise<AuditRecord[]> {
		let query = this.#db.selectFrom("audit_records").selectAll().orderBy("id", "desc").limit(limit);
		if (before !== undefined) query = query.where("id", "<", before);
		// What was written before records had a role is the log's owner's.
		if (role !== undefined) query = query.where("role", "in", role === this.#role ? [role, ""] : [role]);
		if (actor !== undefined) query = query.where("actor", "=", actor);
		const rows = await query.execute();
		return rows.map((row) => ({
			...row,
			role: row.role === "" ? this.#role : row.role,
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
		this.#onRecorded();
		if (inserted.id % 1000 === 0)
			await this.#db
				.deleteFrom("audit_records")
				.where("id", "<=", inserted.id - maxAuditRecords)
				.execute();
	}
}
