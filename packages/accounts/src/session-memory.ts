import type { Clock, UserId } from "@warren/kernel";
import type { Schema } from "@warren/store";
import type { Kysely } from "kysely";
import type { SessionUser } from "./session-client.ts";

export interface SessionMemoryTables {
	/** Sessions that the hub has confirmed: token hashed, for a restart while the hub is away. */
	sessions_known: {
		token_hash: string;
		user_id: string;
		name: string;
		admin: number;
		device_id: string | null;
		expires_at: number;
	};
}

/** For the tables of a node or sidecar. */
export const sessionMemorySchema: Schema = {
	domain: "sessions",
	migrations: {
		"001-known": {
			async up(db) {
				await db.schema
					.createTable("sessions_known")
					.addColumn("token_hash", "text", (column) => column.primaryKey())
					.addColumn("user_id", "text", (column) => column.notNull())
					.addColumn("name", "text", (column) => column.notNull())
					.addColumn("admin", "integer", (column) => column.notNull())
					.addColumn("device_id", "text")
					.addColumn("expires_at", "bigint", (column) => column.notNull())
					.execute();
			},
		},
	},
};

/** What a `SessionClient` keeps across a restart. Losing a write costs one question to the hub. */
export class SessionMemory {
	readonly #db: Kysely<SessionMemoryTables>;
	readonly #clock: Clock;

	constructor(db: Kysely<SessionMemoryTables>, clock: Clock) {
		this.#db = db;
		this.#clock = clock;
	}

	async get(tokenHash: string): Promise<SessionUser | null> {
		const row = await this.#db
			.selectFrom("sessions_known")
			.selectAll()
			.where("token_hash", "=", tokenHash)
			.where("expires_at", ">", this.#clock.now())
			.executeTakeFirst();
		if (row === undefined) return null;
		return {
			kind: "user",
			userId: row.user_id as UserId,
			name: row.name,
			admin: row.admin === 1,
			...(row.device_id === null ? {} : { deviceId: row.device_id }),
			expiresAt: Number(row.expires_at),
		};
	}

	async put(tokenHash: string, user: SessionUser): Promise<void> {
		const row = {
			token_hash: tokenHash,
			user_id: user.userId,
			name: user.name,
			admin: user.admin ? 1 : 0,
			device_id: user.deviceId ?? null,
			expires_at: user.expiresAt,
		};
		await this.#db.deleteFrom("sessions_known").where("expires_at", "<=", this.#clock.now()).execute();
		await this.#db
			.insertInto("sessions_known")
			.values(row)
			.onConflict((conflict) => conflict.column("token_hash").doUpdateSet(row))
			.execute();
	}

	async delete(tokenHash: string): Promise<void> {
		await this.#db.deleteFrom("sessions_known").where("token_hash", "=", tokenHash).execute();
	}
}
