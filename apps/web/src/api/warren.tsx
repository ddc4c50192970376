import { QueryClient, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect, useSyncExternalStore } from "react";
import { notify } from "../shell/notifications.ts";
import { createApi } from "./client.ts";
import { type Credential, CredentialStore, credentialStorageKey } from "./credentials.ts";
import { type FeedState, openFeed } from "./events.ts";
import { ApiError } from "./exchange.ts";
import { type MachineId, self } from "./machine.ts";
import type { Me, NodeEvent, PeerList, SessionList, Status, Window } from "./types.ts";

/** The page's one API, its credentials and its cache, with the hooks that pages read them through. */
export const credentials = new CredentialStore(localStorage);
addEventListener("storage", (event) => {
	if (event.key === credentialStorageKey) credentials.reload();
});

export const api = createApi(credentials, fetch.bind(globalThis));

export const queryClient = new QueryClient({
	defaultOptions: {
		queries: {
			// Lists are refreshed by the node's events; these cover what has none.
			staleTime: 15_000,
			gcTime: 30 * 60_000,
			networkMode: "always",
			retry: (failures, error) => failures < 2 && error instanceof ApiError && error.retryable && error.status !== 409,
			retryDelay: (failures) => 400 * 2 ** failures,
			refetchOnWindowFocus: true,
		},
		mutations: { networkMode: "always", retry: false },
	},
});

const watchCredentials = (watcher: () => void) => credentials.watch(watcher);

export function useCredential(machine: MachineId): Credential | undefined {
	return useSyncExternalStore(watchCredentials, () => credentials.get(machine));
}

export function useMe(machine: MachineId) {
	return useQuery({
		queryKey: [machine, "me"],
		queryFn: ({ signal }) => api.request<Me>(machine, "/api/me", { signal }),
		enabled: useCredential(machine) !== undefined,
		staleTime: 5 * 60_000,
	});
}

/** Whether a peer answers is known by asking it alone: no event tells. */
const peersLookMs = 10_000;

/** @param watched looked at again and again, while the page is in sight. */
export function usePeers({ watched = false } = {}) {
	return useQuery({
		queryKey: [self, "peers"],
		queryFn: ({ signal }) => api.request<PeerList>(self, "/api/peers", { signal }),
		enabled: useCredential(self) !== undefined,
		refetchInterval: watched ? peersLookMs : false,
	});
}

export function useSessions(machine: MachineId) {
	const signedIn = useCredential(machine) !== undefined;
	return useQuery({
		queryKey: [machine, "sessions"],
		queryFn: ({ signal }) => api.request<SessionList>(machine, "/api/sessions", { signal }),
		enabled: signedIn,
	});
}

export function useWindows(machine: MachineId, session: string) {
	return useQuery({
		queryKey: [machine, "windows", session],
		queryFn: async ({ signal }) =>
			(
				await api.request<{ windows: Window[] }>(machine, `/api/sessions/${encodeURIComponent(session)}/windows`, {
					signal,
				})
			).windows,
		enabled: useCredential(machine) !== undefined,
	});
}

export function useStatus(machine: MachineId) {
	return useQuery({
		queryKey: [machine, "status"],
		queryFn: ({ signal }) => api.request<Status>(machine, "/api/status", { signal }),
		enabled: useCredential(machine) !== undefined,
	});
}

/** Round trip from this page to the machine, all hops included; `undefined` until measured. */
export function useRoundTripMs(machine: MachineId): number | undefined {
	const { data } = useQuery({
		queryKey: [machine, "rtt"],
		queryFn: async ({ signal }) => {
			const startedAt = performance.now();
			await api.request(machine, "/api/identify", { signal, timeoutMs: 5000 });
			return performance.now() - startedAt;
		},
		enabled: useCredential(self) !== undefined,
		refetchInterval: 20_000,
		retry: false,
	});
	return data;
}

/** What people call the machine: its own word, else the peer list's, else its identifier. */
export function useMachineName(machine: MachineId): string {
	const peers = usePeers().data;
	const me = useMe(machine).data;
	if (machine === self) return me?.node.name ?? peers?.self.name ?? "this machine";
	return peers?.peers.find((peer) => peer.id === machine)?.name ?? me?.node.name ?? machine;
}

const feedStates = new Map<MachineId, FeedState>();
const feedWatchers = new Set<() => void>();
const watchFeeds = (watcher: () => void) => {
	feedWatchers.add(watcher);
	return () => feedWatchers.delete(watcher);
};

export function useFeedState(machine: MachineId): FeedState | undefined {
	return useSyncExternalStore(watchFeeds, () => feedStates.get(machine));
}

/** Keeps a machine's lists live while mounted: each event says which list to fetch anew. */
export function useFeed(machine: MachineId): void {
	const client = useQueryClient();
	const token = useCredential(machine)?.token;
	const ownToken = useCredential(self)?.token;
	// biome-ignore lint/correctness/useExhaustiveDependencies: a new token must reopen the feed
	useEffect(() => {
		if (token === undefined || ownToken === undefined) return;
		const refresh = (key: readonly unknown[]) => void client.invalidateQueries({ queryKey: key });
		/** What happened meanwhile was not told, and what was asked for meanwhile may have failed. */
		let missed = false;
		const feed = openFeed(api, machine, {
			onEvent(event) {
				switch (event.type) {
					case "sessions":
						return refresh([machine, "sessions"]);
					case "windows":
						return refresh([machine, "windows", event.session]);
					case "peers":
						return refresh([self, "peers"]);
					case "audit":
						return refresh([machine, "activity"]);
					case "rooms":
					case "room-messages":
						return refresh([machine, "rooms"]);
					case "health":
						return refresh([machine, "status"]);
					case "bell":
					case "command-finished":
						refresh([machine, "sessions"]);
						return notify(machine, event, sessionName(machine, event));
				}
			},
			onLive() {
				if (missed) refresh([machine]);
				if (missed && machine !== self) refresh([self, "peers"]);
				missed = false;
			},
			onState(state) {
				if (state === "waiting" && !missed) {
					missed = true;
					if (machine !== self) refresh([self, "peers"]);
				}
				feedStates.set(machine, state);
				for (const watcher of feedWatchers) watcher();
			},
		});
		return () => {
			feed.close();
			feedStates.delete(machine);
		};
	}, [client, machine, token, ownToken]);
}

function sessionName(machine: MachineId, event: Extract<NodeEvent, { session: string }>): string {
	const list = queryClient.getQueryData<SessionList>([machine, "sessions"]);
	return list?.sessions.find((session) => session.id === event.session)?.name ?? event.session;
}
