import type { Kysely } from "kysely";
import type { ProviderOrigins } from "../providers/origins.ts";
import type { AiTables } from "../schema.ts";

const name = "ollama-host";

/** Where Ollama is, as an administrator said at run time; kept over restarts. */
export class OllamaSetting {
	readonly #db: Kysely<AiTables>;
	readonly #origins: ProviderOrigins;

	constructor(db: Kysely<AiTables>, origins: ProviderOrigins) {
		this.#db = db;
		this.#origins = origins;
	}

	async load(): Promise<void> {
		const row = await this.#db.selectFrom("ai_settings").select("value").where("name", "=", name).executeTakeFirst();
		if (row !== undefined) this.#origins.setOllamaHost(row.value);
	}

	/** @param host "" = none, null = as the environment says. @throws WarrenError `bad_setting`. */
	async set(host: string | null): Promise<void> {
		this.#origins.setOllamaHost(host);
		if (host === null) {
			await this.#db.deleteFrom("ai_settings").where("name", "=", name).execute();
			return;
		}
		await this.#db
			.insertInto("ai_settings")
			.values({ name, value: host })
			.onConflict((conflict) => conflict.column("name").doUpdateSet({ value: host }))
			.execute();
	}
}
