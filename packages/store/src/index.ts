/**
 * Where state lives: tables, key-value with watch, bus; SQLite, PostgreSQL and in-process here. Knows no domain's schema: each
 * domain hands in its own migrations.
 */
export { AuditLog, type AuditTable, auditSchema } from "./audit-log.ts";
export type { Bus, BusMessage } from "./bus.ts";
export { storeError } from "./errors.ts";
export type { KeyValue, KeyValueChange, KeyValueEntry } from "./key-value.ts";
export { MemoryBus } from "./memory-bus.ts";
export { MemoryKeyValue } from "./memory-key-value.ts";
export { openPostgresTables, type PostgresOptions } from "./postgres-tables.ts";
export { openSqliteTables } from "./sqlite-tables.ts";
export {
	engineOf,
	type Schema,
	type SqliteTables,
	type Statements,
	type StatementValue,
	type Tables,
} from "./tables.ts";
