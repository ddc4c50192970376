import { silentLogger, systemClock } from "@warren/kernel";
import { noPostgres, TestPostgres } from "@warren/testkit";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuditLog, type AuditTable, auditSchema } from "./audit-log.ts";
import { openPostgresTables } from "./postgres-tables.ts";
import type { Schema } from "./tables.ts";

const reason = noPostgres();
const more: Schema = {
	domain: "audit",
	migrations: { ...auditSchema.migrations, "002-more": { up: async () => {} } },
};

describe.skipIf(reason !== null)(
	"PostgreSQL tables (skipped where PostgreSQL is not installed, or refuses to start)",
	() => {
		let server: TestPostgres;
		beforeAll(() => {
			server = new TestPostgres();
		});
		afterAll(() => server[Symbol.dispose]());

		it("run the migrations that SQLite runs, and give 64-bit numbers as numbers", async () => {
			const where = { host: server.host, user: server.user, database: server.createDatabase() };
			const before = await openPostgresTables<AuditTable>(where, [auditSchema]);
			const audit = new AuditLog(before.db, systemClock, silentLogger);
			await before.db
				.insertInto("audit_records")
				.values({
					at: 1_800_000_000_000,
					actor: "a",
					action: "b",
					target: "",
					outcome: "ok",
					address: "",
					details: "{}",
				} as never)
				.execute();
			expect(await audit.list({ limit: 1 })).toMatchObject([{ id: 1, at: 1_800_000_000_000, actor: "a" }]);
			await before.close();
			await (await openPostgresTables<AuditTable>(where, [auditSchema])).close();
		});

		it("refuse a database of a newer version", async () => {
			const where = { host: server.host, user: server.user, database: server.createDatabase() };
			await (await openPostgresTables<AuditTable>(where, [more])).close();
			await expect(openPostgresTables<AuditTable>(where, [auditSchema])).rejects.toMatchObject({ code: "store_newer" });
		});

		it("say which database cannot be opened", async () => {
			await expect(
				openPostgresTables({ host: server.host, user: server.user, database: "nowhere" }, []),
			).rejects.toMatchObject({ code: "store_unreadable", message: expect.stringContaining("nowhere") });
		});
	},
);
