import { silentLogger } from "@warren/kernel";
import { noNats, noPostgres, poseNats, posePostgres, TestNats, TestPostgres } from "@warren/testkit";
import { sql } from "kysely";
import { describe, expect, it } from "vitest";
import { type AuditTable, auditSchema } from "./audit-log.ts";
import { Nats } from "./nats/nats.ts";
import { openPostgresTables } from "./open-postgres-tables.ts";

const fit = { version: "150018", encoding: "UTF8", standby: "f", schema: "public", may_create: "t" };
const at = (port: number) => ({ host: "127.0.0.1", port, user: "warren", database: "warren" });

describe("a PostgreSQL that cannot hold the tables is refused before anything is made", () => {
	it.each([
		["too old", { version: "130022" }, /is of PostgreSQL 13\.22/, /14 or later/],
		["much too old", { version: "90624" }, /is of PostgreSQL 9\.6\.24/, /14 or later/],
		["of another encoding", { encoding: "LATIN1" }, /encoding LATIN1/, /createdb --encoding UTF8/],
		["a standby", { standby: "t" }, /is a standby/, /primary/],
		["without a schema", { schema: null, may_create: null }, /no schema/, /owner/],
		["without the right to make tables", { may_create: "f" }, /make no tables in the schema public/, /GRANT CREATE/],
	])("%s", async (_what, facts, message, fix) => {
		await using server = await posePostgres({ row: { ...fit, ...facts } });
		const refused = await openPostgresTables(at(server.port), [auditSchema]).catch((fault: unknown) => fault);
		expect(refused).toMatchObject({
			code: "store_unfit",
			message: expect.stringMatching(message),
			fix: expect.stringMatching(fix),
		});
		expect(server.asked, "one question, and no statement that changes anything").toHaveLength(1);
	});

	it.each([
		["28P01", 'password authentication failed for user "warren"', /password_file|--database-password-file/],
		["3D000", 'database "warren" does not exist', /createdb/],
		["57P03", "the database system is starting up", /PostgreSQL runs there/],
	])("refusal %s of its own is passed on, with what to do", async (code, message, fix) => {
		await using server = await posePostgres({ refusal: { code, message } });
		const refused = await openPostgresTables({ ...at(server.port), password: "hunter2" }, [auditSchema]).catch(
			(fault: unknown) => fault,
		);
		expect(refused).toMatchObject({ code: "store_unreadable", message: expect.stringContaining(message) });
		expect((refused as { fix: string }).fix).toMatch(fix);
		expect(JSON.stringify(refused) + String(refused)).not.toContain("hunter2");
	});
});

const noServer = noPostgres();
describe.skipIf(noServer !== null)("a real PostgreSQL (skipped where it is not installed)", () => {
	it("with another encoding, or a user that may make nothing, is left as it was", async () => {
		using server = new TestPostgres();
		const ascii = server.createDatabase(["--encoding", "SQL_ASCII", "--locale", "C", "--template", "template0"]);
		const place = { host: server.host, user: server.user };
		await expect(openPostgresTables({ ...place, database: ascii }, [auditSchema])).rejects.toMatchObject({
			code: "store_unfit",
			message: expect.stringContaining("SQL_ASCII"),
		});
		const database = server.createDatabase();
		const owner = await openPostgresTables<AuditTable>({ ...place, database }, []);
		await sql`revoke create on schema public from public`.execute(owner.db);
		await sql`create role guest login`.execute(owner.db);
		await expect(openPostgresTables({ ...place, user: "guest", database }, [auditSchema])).rejects.toMatchObject({
			code: "store_unfit",
			message: expect.stringContaining("schema public"),
		});
		const made = await sql`select 1 from pg_tables where tablename like 'audit%'`.execute(owner.db);
		expect(made.rows).toEqual([]);
		await owner.close();
	});
});

describe("a NATS that cannot carry the news is refused before anything is made", () => {
	const open = (port: number, more: object = {}) =>
		Nats.open({ servers: [`127.0.0.1:${port}`], name: "test", ...more }, { logger: silentLogger });

	it.each([
		["too old", { version: "2.8.4", jetstream: true }, /version 2\.8\.4/, /2\.9 or later/],
		["of the first major version", { version: "1.4.1" }, /version 1\.4\.1/, /2\.9 or later/],
		["without JetStream", { version: "2.10.18" }, /without JetStream/, /-js/],
	])("%s", async (_what, info, message, fix) => {
		await using server = await poseNats(info);
		const refused = await open(server.port).catch((fault: unknown) => fault);
		expect(refused).toMatchObject({
			code: "store_unfit",
			message: expect.stringMatching(message),
			fix: expect.stringMatching(fix),
		});
		expect(server.asked.filter((line) => !line.startsWith("PONG"))).toEqual([]);
	});

	it("a real one without JetStream, and one with another password, which is not told", async (context) => {
		const missing = noNats();
		context.skip(missing !== null, missing ?? "");
		await using plain = await TestNats.start({ jetstream: false });
		await expect(open(plain.port)).rejects.toMatchObject({ code: "store_unfit" });
		await using guarded = await TestNats.start({ user: "warren", password: "right" });
		const refused = await open(guarded.port, { user: "warren", password: "hunter2" }).catch((fault: unknown) => fault);
		expect(refused).toMatchObject({ code: "store_unreadable", fix: expect.stringContaining("password") });
		expect(String(refused)).not.toContain("hunter2");
		await (await open(guarded.port, { user: "warren", password: "right" })).close();
	});
});
