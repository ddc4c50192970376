import { useQuery } from "@tanstack/react-query";
import { hub, useAccount } from "../api/hub.ts";

export interface ProviderFacts {
	readonly id: string;
	readonly name: string;
	/** The hub has its key, or knows where it is. */
	readonly configured: boolean;
	readonly keyVariable: string | null;
	readonly models: readonly string[];
}

export function useProviders() {
	return useQuery({
		queryKey: ["hub", "ai-providers"],
		queryFn: async ({ signal }) =>
			(await hub.request<{ providers: ProviderFacts[] }>("/ai/providers", { signal })).providers,
		enabled: useAccount() !== undefined,
	});
}

/** The provider's own list, the table's few until it is there; `null` until something is known. */
export function useModels(provider: ProviderFacts | undefined): readonly string[] | null {
	const { data, isPending, isFetching } = useQuery({
		queryKey: ["hub", "ai-models", provider?.id],
		queryFn: async ({ signal }) =>
			(await hub.request<{ models: string[] }>(`/ai/models/${provider?.id ?? ""}`, { signal })).models,
		enabled: provider?.configured === true,
		staleTime: 10 * 60_000,
	});
	const known = data ?? provider?.models ?? [];
	return known.length === 0 && isPending && isFetching ? null : known;
}
