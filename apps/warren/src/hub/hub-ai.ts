import { type Ai, type AiTables, openAi } from "@warren/ai";
import type { SqliteTables } from "@warren/store";
import { keyFileName } from "../config/ai-config.ts";
import type { NodeConfig } from "../config/node-config.ts";
import type { NodeBase } from "../node/role-part.ts";

/** AI beside the hub's accounts: over the hub's own tables, with the keys of its data folder. */
export function openHubAi(base: NodeBase, config: NodeConfig, tables: SqliteTables<AiTables>): Promise<Ai> {
	const { clock, random, logger, audit, data } = base;
	return openAi(
		{ db: tables.db, clock, random, logger, audit },
		{ ...config.ai, keyFile: data.file(keyFileName), owner: "hub" },
	);
}
