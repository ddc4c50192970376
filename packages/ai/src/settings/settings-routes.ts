import { type Audit, describeIdentity } from "@warren/kernel";
import type { Route } from "@warren/net";
import { z } from "zod";
import { adminOf, answer, personOf } from "../ai-route.ts";
import type { ProviderKeys } from "../keys/provider-keys.ts";
import type { ModelLists } from "../providers/model-lists.ts";
import type { ProviderOrigins } from "../providers/origins.ts";
import { providerOf } from "../providers/provider-path.ts";
import { type Provider, providerIds, providers } from "../providers/provider-table.ts";
import type { OllamaSetting } from "./ollama-setting.ts";

const hostBody = z.strictObject({ host: z.string().trim().max(300).nullable() });

/** Which providers there are and whether they can be used; where Ollama is. No key is ever in an answer. */
export function settingsRoutes(deps: {
	readonly keys: ProviderKeys;
	readonly origins: ProviderOrigins;
	readonly ollama: OllamaSetting;
	readonly models: ModelLists;
	readonly audit: Audit;
	readonly owner: string;
}): Route[] {
	const { keys, origins, ollama, models, audit, owner } = deps;
	const facts = { owner, credentials: ["session"] } as const;
	const usable = (provider: Provider) =>
		provider.id === "ollama" ? origins.ollama.kind === "at" : keys.sourceOf(provider) !== "none";
	const all = providerIds.map((id) => providers[id]);
	return [
		{
			...facts,
			method: "GET",
			path: "/ai/providers",
			about: { summary: "Providers, and whether they can be used" },
			handle: (context) => {
				personOf(context);
				return answer({
					providers: all.map((provider) => ({
						id: provider.id,
						name: provider.name,
						configured: usable(provider),
						keyVariable: provider.keyVariable,
						models: provider.models,
					})),
				});
			},
		},
		{
			...facts,
			method: "GET",
			path: "/ai/models/:provider",
			about: { summary: "Models of a provider" },
			handle: async (context) => {
				personOf(context);
				return answer({ models: await models.of(providerOf(context.params["provider"] ?? "")) });
			},
		},
		{
			...facts,
			method: "GET",
			path: "/api/settings/ai",
			about: { summary: "Where keys and addresses come from (administrators)" },
			handle: (context) => {
				adminOf(context);
				return answer({
					ollama: origins.ollama,
					providers: all.map((provider) => ({
						id: provider.id,
						name: provider.name,
						key: keys.sourceOf(provider),
						keyVariable: provider.keyVariable,
						originVariable: provider.originVariable,
						originOverridden: origins.isOverridden(provider.id),
					})),
				});
			},
		},
		{
			...facts,
			method: "PUT",
			path: "/api/settings/ollama-host",
			about: { summary: "Say where Ollama is (administrators)", body: hostBody },
			handle: async (context) => {
				const admin = adminOf(context);
				const { host } = await context.json(hostBody);
				await ollama.set(host);
				models.forget(providers.ollama);
				audit.record({
					actor: describeIdentity(admin),
					action: "ai.ollama-host.set",
					target: host ?? "(environment)",
					outcome: "ok",
					address: context.remoteAddress,
				});
				return answer({ ollama: origins.ollama });
			},
		},
	];
}
