import { type Clock, ExpiringMap, type Logger, messageOf } from "@warren/kernel";
import { z } from "zod";
import type { ProviderKeys } from "../keys/provider-keys.ts";
import { upstreamHeaders } from "../proxy/headers.ts";
import { ask } from "../upstream/ask.ts";
import type { Upstream } from "../upstream/upstream.ts";
import type { ProviderOrigins } from "./origins.ts";
import type { Provider, ProviderId } from "./provider-table.ts";

const listLimits = {
	freshMs: 10 * 60_000,
	failedMs: 30_000,
	timeoutMs: 5_000,
	maxBytes: 4 * 1024 * 1024,
	maxModels: 1000,
};
const name = z.string().min(1).max(160);
const listSchema = z.union([
	z.object({ data: z.array(z.object({ id: name })) }).transform(({ data }) => data.map((each) => each.id)),
	z
		.object({ models: z.array(z.object({ name, supportedGenerationMethods: z.array(z.string()).optional() })) })
		.transform(({ models }) =>
			models
				.filter((each) => each.supportedGenerationMethods?.includes("generateContent") ?? true)
				.map((each) => each.name.replace(/^models\//, "")),
		),
	z.array(z.object({ id: name })).transform((data) => data.map((each) => each.id)),
]);

export interface ModelListDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly upstream: Upstream;
	readonly keys: ProviderKeys;
	readonly origins: ProviderOrigins;
}

/** The providers' own lists of models, kept for ten minutes; what cannot be asked has the table's few. */
export class ModelLists {
	readonly #deps: ModelListDeps;
	readonly #lists: ExpiringMap<ProviderId, readonly string[]>;
	readonly #asked = new Map<ProviderId, Promise<readonly string[]>>();

	constructor(deps: ModelListDeps) {
		this.#deps = deps;
		this.#lists = new ExpiringMap(deps.clock, 32);
	}

	async of(provider: Provider): Promise<readonly string[]> {
		const kept = this.#lists.get(provider.id);
		if (kept !== undefined) return kept;
		const asking =
			this.#asked.get(provider.id) ??
			this.#ask(provider).finally(() => {
				this.#asked.delete(provider.id);
			});
		this.#asked.set(provider.id, asking);
		return asking;
	}

	forget(provider: Provider): void {
		this.#lists.delete(provider.id);
	}

	async #ask(provider: Provider): Promise<readonly string[]> {
		try {
			const { upstream, clock, keys, origins } = this.#deps;
			const { status, text } = await ask(upstream, clock, {
				origin: origins.of(provider),
				path: `/${provider.modelList}`,
				headers: {
					...upstreamHeaders({ accept: "application/json" }, provider, keys.get(provider)),
					...(provider.id === "anthropic" ? { "anthropic-version": "2023-06-01" } : {}),
				},
				timeoutMs: listLimits.timeoutMs,
				maxBytes: listLimits.maxBytes,
			});
			if (status !== 200) throw new Error(`it answered ${status}`);
			const models = listSchema.parse(JSON.parse(text)).slice(0, listLimits.maxModels).sort();
			this.#lists.set(provider.id, models, listLimits.freshMs);
			return models;
		} catch (fault) {
			this.#deps.logger.debug("a list of models could not be read", {
				provider: provider.id,
				fault: messageOf(fault).slice(0, 200),
			});
			this.#lists.set(provider.id, provider.models, listLimits.failedMs);
			return provider.models;
		}
	}
}
