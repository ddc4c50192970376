import { HealthTable, silentLogger, systemClock } from "@warren/kernel";
import { noPostgres, TestPostgres, VirtualClock } from "@warren/testkit";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { AuditLog, type AuditTable, auditSchema } from "./audit-log.ts";
import { openPostgresTables } from "./open-postgres-tables.ts";
import type { Schema } from "./tables.ts";
import { whileAlone } from "./while-alone.ts";

const reason = noPostgres();
const more: Schema = {
	domain: "audit",
	migrations: { ...auditSchema.migrations, "003-more": { up: async () => {} } },
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

		it("say that the disk there is full", async () => {
			const where = { host: server.host, user: server.user, database: server.createDatabase() };
			const { db, close } = await openPostgresTables<AuditTable>(where, [auditSchema]);
			const full = sql`DO $$ BEGIN RAISE EXCEPTION 'could not extend file' USING ERRCODE = '53100'; END $$`;
			await expect(full.execute(db)).rejects.toMatchObject({ code: "store_full", status: 507, retryable: true });
			await close();
		});

		it("refuse a database of a newer version", async () => {
			const where = { host: server.host, user: server.user, database: server.createDatabase() };
			await (await openPostgresTables<AuditTable>(where, [more])).close();
			await expect(openPostgresTables<AuditTable>(where, [auditSchema])).rejects.toMatchObject({ code: "store_newer" });
		});

		it("are brought up to date once, by whichever of several instances comes first", async () => {
			const where = { host: server.host, user: server.user, database: server.createDatabase() };
			const opened = await Promise.all(
				Array.from({ length: 3 }, () => openPostgresTables<AuditTable>(where, [auditSchema])),
			);
			let inside = 0;
			let most = 0;
			await Promise.all(
				opened.map((tables) =>
					whileAlone(tables, systemClock, async () => {
						inside += 1;
						most = Math.max(most, inside);
						await tables.db.selectFrom("audit_records").selectAll().execute();
						inside -= 1;
					}),
				),
			);
			expect(most).toBe(1);
			for (const each of opened) await each.close();
		});

		it("say that they are away while the server is killed, and go on when it is back", async () => {
			const health = new HealthTable(new VirtualClock());
			const where = { host: server.host, user: server.user, database: server.createDatabase() };
			const tables = await openPostgresTables<AuditTable>(where, [auditSchema], { health });
			const count = () => tables.db.selectFrom("audit_records").selectAll().execute();
			await count();
			server.kill();
			const away = await count().catch((fault: unknown) => fault);
			expect(away).toMatchObject({ code: "store_away", retryable: true, status: 503 });
			server.restart();
			expect(await count()).toEqual([]);
			await tables.close();
		});

		it("whose connection the server ends in a statement use another for the next", async () => {
			const where = { host: server.host, user: server.user, database: server.createDatabase() };
			const tables = await openPostgresTables<AuditTable>(where, [auditSchema]);
			for (let round = 0; round < 5; round++) {
				const ended = await sql`select pg_terminate_backend(pg_backend_pid())`
					.execute(tables.db)
					.catch((fault: unknown) => fault);
				expect(ended).toMatchObject({ code: "store_away", retryable: true });
				expect(await tables.db.selectFrom("audit_records").selectAll().execute()).toEqual([]);
			}
			await tables.close();
		});

		it("say which database cannot be opened", async () => {
			await expect(
				openPostgresTables({ host: server.host, user: server.user, database: "nowhere" }, []),
			).rejects.toMatchObject({ code: "store_unreadable", message: expect.stringContaining("nowhere") });
		});
	},
);
