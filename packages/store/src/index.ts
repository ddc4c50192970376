/**
 * Where state lives: tables, key-value with watch, bus, streams; SQLite and in-process for one machine, PostgreSQL and
 * NATS for several. Knows no domain's schema: each domain hands in its own migrations.
 */
export { AuditLog, type AuditTable, auditSchema } from "./audit-log.ts";
export type { Bus, BusMessage } from "./bus.ts";
export { storeConditions } from "./conditions.ts";
export { storeError } from "./errors.ts";
export { type InstallationTable, installationSchema } from "./installation.ts";
export type { KeyValue, KeyValueChange, KeyValueEntry } from "./key-value.ts";
export {
	assertLeads,
	type Leader,
	Leadership,
	type LeadershipOptions,
	leadershipLimits,
	leadershipSchema,
} from "./leadership.ts";
export { loadNats } from "./load-nats.ts";
export { MemoryBus } from "./memory-bus.ts";
export { MemoryKeyValue } from "./memory-key-value.ts";
export type { NatsOptions } from "./nats/nats.ts";
export type { ObjectStorage } from "./object-storage.ts";
export { openObjectTables } from "./object-tables.ts";
export { openPostgresTables } from "./open-postgres-tables.ts";
export { postgresFailure } from "./postgres-failure.ts";
export type { PostgresOptions } from "./postgres-tables.ts";
export { SharedClock } from "./shared-clock.ts";
export { SqliteStream, streamSchema } from "./sqlite-stream.ts";
export { openSqliteTables } from "./sqlite-tables.ts";
export type { AppendedMessage, Stream, StreamMessage, StreamOptions } from "./stream.ts";
export {
	engineOf,
	type Schema,
	type SqliteTables,
	type Statements,
	type StatementValue,
	type Tables,
} from "./tables.ts";
export { whileAlone } from "./while-alone.ts";
