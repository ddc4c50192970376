import { useQuery } from "@tanstack/react-query";
import { self } from "../api/machine.ts";
import { api, useCredential } from "../api/warren.tsx";

export interface StoredPolicy {
	text: string;
	etag: string;
}

/** Pairs of machines, by name; the counts go on where the lists end. */
export interface PolicyPreview {
	gained: string[][];
	lost: string[][];
	gainedCount: number;
	lostCount: number;
	/** What peers may open to each other, in words, where it changes; `both`: and the other way round. */
	ports: { from: string; to: string; both: boolean; gained: string[]; lost: string[] }[];
	portsCount: number;
	portsLostCount: number;
}

export interface PolicyVersion {
	etag: string;
	/** Milliseconds since the Unix epoch. */
	at: number;
	/** Null: changed elsewhere. */
	actor: string | null;
	text: string;
}

const path = "/api/network/policy";
export const policyKey = [self, "policy"] as const;

export function usePolicy() {
	return useQuery({
		queryKey: policyKey,
		queryFn: ({ signal }) => api.request<StoredPolicy>(self, path, { signal }),
		enabled: useCredential(self) !== undefined,
	});
}

export function useHistory(enabled: boolean) {
	return useQuery({
		queryKey: [...policyKey, "history"],
		queryFn: async ({ signal }) =>
			(await api.request<{ versions: PolicyVersion[] }>(self, `${path}/history`, { signal })).versions,
		enabled,
		staleTime: 0,
	});
}

export const previewPolicy = (text: string) =>
	api.request<PolicyPreview>(self, `${path}/preview`, { method: "POST", body: { text } });

export const savePolicy = (text: string, etag: string) =>
	api.request<StoredPolicy>(self, path, { method: "PUT", body: { text }, headers: { "if-match": etag } });
