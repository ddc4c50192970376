import type { ObjectStorage } from "./object-storage.ts";
import { openObjectTables } from "./object-tables.ts";
import { openPostgresTables } from "./open-postgres-tables.ts";
import { type ContractTables, tablesContract } from "./tables.contract.ts";
import { cases } from "./vitest-of-worker.testing.ts";

interface State {
	readonly storage: ObjectStorage & { deleteAll(): Promise<void> };
}

/** What a test asks for: PostgreSQL with an empty database for each case, or null = the object's own storage. */
export interface ContractRun {
	readonly postgres: { readonly host: string; readonly port: number; readonly user: string } | null;
	readonly databases: readonly string[];
}

/** Runs the contract of tables in the real runtime, and tells what became of each case. */
export class TablesObject {
	readonly #storage: State["storage"];

	constructor(state: State) {
		this.#storage = state.storage;
	}

	async fetch(request: Request): Promise<Response> {
		const { postgres, databases } = (await request.json()) as ContractRun;
		let next = 0;
		cases.length = 0;
		tablesContract("tables of a worker", async () => {
			const database = databases[next++] ?? "";
			return {
				open: (schemas) =>
					postgres === null
						? openObjectTables<ContractTables>(this.#storage, schemas, "under test")
						: openPostgresTables<ContractTables>({ ...postgres, database }, schemas),
				remove: async () => {
					if (postgres === null) await this.#storage.deleteAll();
				},
			};
		});
		const results: Record<string, string> = {};
		for (const { title, run } of cases) results[title] = await run().then(() => "ok", String);
		return Response.json(results);
	}
}

interface Environment {
	readonly TABLES: {
		idFromName(name: string): unknown;
		get(id: unknown): { fetch(request: Request): Promise<Response> };
	};
}

export default {
	fetch: (request: Request, { TABLES }: Environment): Promise<Response> =>
		TABLES.get(TABLES.idFromName("tables")).fetch(request),
};
