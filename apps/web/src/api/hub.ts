import { queryOptions, useQuery } from "@tanstack/react-query";
import { useSyncExternalStore } from "react";
import { guessDeviceName } from "../shell/device-name.ts";
import { type Account, AccountStore, accountStorageKey } from "./account.ts";
import { createHub } from "./hub-client.ts";
import type { Profile } from "./hub-types.ts";
import { self } from "./machine.ts";
import { api, queryClient } from "./warren.tsx";

/** The page's one account and its hub, with the hooks that pages read them through. */
export const account = new AccountStore(localStorage);
addEventListener("storage", (event) => {
	if (event.key === accountStorageKey) account.reload();
});

export const hub = createHub(account, fetch.bind(globalThis), () => guessDeviceName(navigator.userAgent));

let lastUser = account.get()?.userId;
account.watch(() => {
	const user = account.get()?.userId;
	// Another person's answers must not be shown to this one.
	if (user !== lastUser) queryClient.removeQueries({ queryKey: ["hub"] });
	lastUser = user;
});

const watchAccount = (watcher: () => void) => account.watch(watcher);

export function useAccount(): Account | undefined {
	return useSyncExternalStore(watchAccount, () => account.get());
}

export function useProfile() {
	return useQuery({
		queryKey: ["hub", "me"],
		queryFn: ({ signal }) => hub.request<Profile>("/me", { signal }),
		enabled: useAccount() !== undefined,
	});
}

/** What the machine that served this page says of itself to anybody. */
export interface Discovery {
	name?: string;
	version: string;
	roles: string[];
}

const discovery = queryOptions({
	queryKey: [self, "discovery"],
	queryFn: ({ signal }) => api.request<Discovery>(self, "/", { signal, authorization: null }),
	staleTime: 5 * 60_000,
	retry: false,
});

export const useDiscovery = () => useQuery(discovery);

/** Where accounts and documents come from: this machine, the one that it joined, or nowhere. Unknown counts as there. */
export type HubRole = "hub" | "member" | "none" | "unknown";

export const useHubRole = (): HubRole => roleOf(useDiscovery().data);

/** The same, waited for: what is done once in a life must not depend on which answer came first. */
export async function askHubRole(): Promise<HubRole> {
	return roleOf(await queryClient.fetchQuery(discovery).catch(() => undefined));
}

function roleOf(said: Discovery | undefined): HubRole {
	if (said === undefined) return "unknown";
	return said.roles.includes("hub") ? "hub" : said.roles.includes("member") ? "member" : "none";
}
