import type { WarrenError } from "@warren/kernel";
import type { PoolClient } from "pg";
import { storeError } from "./errors.ts";

/** What the SQL of these tables was written for, and what the tests run on. */
const oldest = { version: 140_000, shown: "14" } as const;

interface Engine {
	readonly version: string;
	readonly encoding: string;
	readonly standby: boolean;
	/** Null where no schema of the search path exists. */
	readonly schema: string | null;
	readonly may_create: boolean | null;
}

/**
 * Whether an engine can hold our tables, before anything of them is made.
 * @param name of the database, for the refusal. @throws WarrenError `store_unfit`.
 */
export async function checkEngine(client: Pick<PoolClient, "query">, name: string): Promise<void> {
	const { rows } = await client.query<Engine>(
		`select current_setting('server_version_num') as version, current_setting('server_encoding') as encoding,
			pg_is_in_recovery() as standby, current_schema() as schema,
			has_schema_privilege(current_schema(), 'create') as may_create`,
	);
	const refusal = rows[0] === undefined ? null : refusalOf(rows[0], name);
	if (refusal !== null) throw refusal;
}

function refusalOf({ version, encoding, standby, schema, may_create }: Engine, name: string): WarrenError | null {
	const unfit = (what: string, fix: string) => storeError("store_unfit", `The database ${name} ${what}.`, { fix });
	if (Number(version) < oldest.version)
		return unfit(`is of PostgreSQL ${shown(version)}`, `Bring it to PostgreSQL ${oldest.shown} or later.`);
	if (encoding !== "UTF8")
		return unfit(
			`has the encoding ${encoding}, which cannot hold every name`,
			"Make it anew with: createdb --encoding UTF8 --template template0",
		);
	if (standby)
		return unfit(
			"is a standby, which takes no writes",
			"Name the primary; of several hosts, the one that a failover makes the primary.",
		);
	if (schema === null)
		return unfit("has no schema that its user may see", "Make the user its owner: createdb -O USER DATABASE");
	if (may_create === false)
		return unfit(
			`lets its user make no tables in the schema ${schema}`,
			`Make the user its owner, or: GRANT CREATE, USAGE ON SCHEMA ${schema} TO that user.`,
		);
	return null;
}

/** 90624 → 9.6.24, 120004 → 12.4. */
function shown(version: string): string {
	const number = Number(version);
	return number >= 100_000
		? `${Math.floor(number / 10_000)}.${number % 10_000}`
		: `${Math.floor(number / 10_000)}.${Math.floor(number / 100) % 100}.${number % 100}`;
}
