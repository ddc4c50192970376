import { type Clock, delay } from "@warren/kernel";
import { type Kysely, sql } from "kysely";
import { storeError } from "./errors.ts";

/** How long one instance waits for another's preparations. */
const aloneMs = 60_000;
const askAgainMs = 100;

/**
 * Runs what only one instance at a time may do: preparations at the start that are not migrations of ours.
 * @param tables of PostgreSQL. @throws WarrenError `store_busy` when another holds it for a minute.
 */
export async function whileAlone<T>(
	{ db }: { readonly db: Kysely<any> },
	clock: Clock,
	work: () => Promise<T>,
): Promise<T> {
	return db.connection().execute(async (connection) => {
		for (let waitedMs = 0; ; waitedMs += askAgainMs) {
			const { rows } = await sql<{ got: boolean }>`select pg_try_advisory_lock(${aloneLock}) as got`.execute(
				connection,
			);
			if (rows[0]?.got === true) break;
			if (waitedMs >= aloneMs)
				throw storeError("store_busy", "Another instance has been preparing the database for a minute.");
			await delay(clock, askAgainMs);
		}
		try {
			return await work();
		} finally {
			await sql`select pg_advisory_unlock(${aloneLock})`.execute(connection);
		}
	});
}

/** Any number that nobody else of this database takes: "warren" in letters of the alphabet. */
const aloneLock = 231_818_180_514;
