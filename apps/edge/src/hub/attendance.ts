import type { Clock } from "@warren/kernel";
import type { Schema } from "@warren/store";
import type { Kysely } from "kysely";

export interface AttendanceTable {
	edge_attendance: {
		user: string;
		room: string;
		/** Milliseconds since the Unix epoch: the last time that they went in. */
		at: number;
	};
}

export const attendanceSchema: Schema = {
	domain: "edge",
	migrations: {
		"001-attendance": {
			async up(db) {
				await db.schema
					.createTable("edge_attendance")
					.addColumn("user", "text", (column) => column.notNull())
					.addColumn("room", "text", (column) => column.notNull())
					.addColumn("at", "bigint", (column) => column.notNull())
					.addPrimaryKeyConstraint("edge_attendance_key", ["user", "room"])
					.execute();
			},
		},
	},
};

/** Which rooms may have somebody's sockets: each of them must hear when that person is signed out. */
export class Attendance {
	readonly #db: Kysely<AttendanceTable>;
	readonly #clock: Clock;

	constructor(db: Kysely<AttendanceTable>, clock: Clock) {
		this.#db = db;
		this.#clock = clock;
	}

	async entered(user: string, room: string): Promise<void> {
		const at = this.#clock.now();
		await this.#db
			.insertInto("edge_attendance")
			.values({ user, room, at })
			.onConflict((conflict) => conflict.columns(["user", "room"]).doUpdateSet({ at }))
			.execute();
	}

	async roomsOf(user: string): Promise<string[]> {
		const rows = await this.#db.selectFrom("edge_attendance").select("room").where("user", "=", user).execute();
		return rows.map((row) => row.room);
	}

	/** Nobody of this person's is left where they were before `at`. */
	async left(user: string, at: number): Promise<void> {
		await this.#db.deleteFrom("edge_attendance").where("user", "=", user).where("at", "<", at).execute();
	}
}
