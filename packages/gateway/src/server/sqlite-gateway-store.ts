import type { Logger } from "@warren/kernel";
import type { Statements } from "@warren/store";
import type { GatewayStore } from "./gateway-store.ts";
import { QueueStore } from "./queue-store.ts";
import { SqliteMeshRows } from "./sqlite-mesh-rows.ts";

/** @param statements of a database with `gatewaySchema`, the gateway's alone. */
export function openSqliteGatewayStore(statements: Statements, logger: Logger): GatewayStore {
	const meshes = new SqliteMeshRows(statements);
	const queues = new QueueStore(statements, meshes, logger);
	return { meshes, queues, records: meshes.records(), states: queues.states() };
}
