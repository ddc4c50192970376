import { useQuery } from "@tanstack/react-query";
import { self } from "../api/machine.ts";
import { pendingChanges } from "../api/pending-changes.ts";
import { api, useCredential } from "../api/warren.tsx";

/** The shapes of `/api/network`. Times are milliseconds since the Unix epoch. */
export interface Joiner {
	name: string;
	peer_id: string;
	ula: string;
	endpoint: string | null;
	coordinator: string;
	connected: boolean;
	data_plane: string | null;
	nat: string | null;
	relay: boolean;
	updated_at: number;
	conditions: { code: string; severity: string; title: string; advice: string }[];
	peers: JoinerPeer[];
}

export interface JoinerPeer {
	peer_id: string;
	display_name: string;
	ula: string;
	path: string;
	endpoint: { address: string; port: number } | null;
	rtt_ms: number | null;
	mtu: number | null;
	last_handshake_at: number | null;
	rx_bytes: number;
	tx_bytes: number;
}

export interface CoordinatorPeer {
	peer_id: string;
	ula: string;
	display_name: string;
	network: string;
	tags: string[];
	kind: "peer" | "runner";
	parent?: string;
	software_version?: string;
	relay_only: boolean;
	nat?: "easy" | "hard";
	connectivity: "direct" | "relay" | "dead";
	paths: { peer_id: string; direct: boolean; last_rx_age_ms: number | null }[];
}

export interface RemovedPeer {
	peer_id: string;
	ula: string;
	tags: string[];
}

export interface NetworkView {
	joiner: Joiner | null;
	/** Where the coordinator is, on a machine that joined. */
	firstMachine: string | null;
	coordinator: { peers: CoordinatorPeer[]; removed: RemovedPeer[] } | null;
	/** Why the coordinator was not asked. */
	error: { error: string; message: string; fix?: string } | null;
}

export interface Explanation {
	allowed: boolean;
	visible: boolean;
	rule: { index: number; line: number; action: string } | null;
	reason: string;
}

export interface AddedDevice {
	name: string;
	ula: string;
	config: string;
}

export const networkKey = [self, "network"] as const;
const refreshMs = 5_000;

export function useNetwork() {
	return useQuery({
		queryKey: networkKey,
		queryFn: ({ signal }) => api.request<NetworkView>(self, "/api/network", { signal }),
		enabled: useCredential(self) !== undefined,
		refetchInterval: refreshMs,
	});
}

export function explain(from: string, to: string, proto: string, port: string): Promise<Explanation> {
	const query = new URLSearchParams({ from, to, proto, ...(port === "" ? {} : { port }) });
	return pendingChanges.follow(api.request<Explanation>(self, `/api/network/explain?${query}`));
}

export const addDevice = (name: string, endpoint: string) =>
	api.request<AddedDevice>(self, "/api/network/devices", {
		method: "POST",
		body: { name, ...(endpoint === "" ? {} : { endpoint }) },
	});

const peerPath = (id: string) => `/api/network/peers/${encodeURIComponent(id)}`;
export const removePeer = (id: string) => api.request(self, peerPath(id), { method: "DELETE" });
export const readmitPeer = (id: string) => api.request(self, `${peerPath(id)}/readmit`, { method: "POST" });
