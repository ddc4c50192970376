import { useQuery } from "@tanstack/react-query";
import { type MachineId, self } from "../api/machine.ts";
import { api, queryClient, useCredential } from "../api/warren.tsx";

/** The shapes of `/api/backbone` and `/api/exposed`. Times are milliseconds since the Unix epoch. */
export interface ServiceSettings {
	require_identity?: boolean;
	allow?: string[];
	deny?: string[];
	requests_per_second?: number | null;
	bytes_per_second?: number | null;
	max_body_bytes?: number | null;
	inspect?: boolean;
}

export interface Service {
	service: string;
	kind: "http" | "h2" | "tcp" | "udp";
	url: string;
	port: number | null;
	domains: string[];
	settings: ServiceSettings;
	created_at: number;
	connected: boolean;
	agents: ServiceAgent[];
	requests: number;
	errors: number;
	refused: number;
}

export interface ServiceAgent {
	id: string;
	name: string | null;
	address: string;
	transport: string;
	connectedAt: number;
	links: number;
	busy: number;
	healthy: boolean;
}

export interface ServiceToken {
	id: string;
	service: string;
	created_at: number;
	last_used_at: number | null;
}

export interface Principal {
	principal_id: string;
	name: string;
	email: string;
	note: string;
	key_version: number;
	state: "active" | "pending" | "revoked";
	created_at: number;
}

export interface Exchange {
	id: string;
	at: number;
	method: string;
	target: string;
	principal: string | null;
	address: string;
	headers: [string, string][];
	status: number;
	durationMs: number;
	request_bytes: number;
	answer_bytes: number;
	replayable: boolean;
}

export interface Cluster {
	node: string;
	nodes: { node: string; self: boolean; started_at: number; agents: { service: string; agent: string }[] }[];
}

export interface Exposed {
	name: string;
	kind: Service["kind"];
	port: number;
	public: boolean;
	url: string;
	overlay: { address: string; port: number; host: string | null } | null;
	state: "online" | "connecting" | "stopped";
	reason: string | null;
	target: "up" | "down";
}

const part = encodeURIComponent;
export const servicesKey = [self, "backbone"] as const;
const refreshMs = 5_000;

/** Changes are seen within a few seconds, whoever made them. */
function useBackbone<T>(path: string, pick: (answer: never) => T, live = true) {
	return useQuery({
		queryKey: [...servicesKey, path],
		queryFn: async ({ signal }) => pick(await api.request<never>(self, `/api/backbone/${path}`, { signal })),
		enabled: useCredential(self) !== undefined,
		// Without an answer there is nothing to keep fresh: asking again would blank the page each time.
		refetchInterval: ({ state }) => (live && (state.error === null || state.data !== undefined) ? refreshMs : false),
	});
}

/** What machines have at the backbone for their own tunnels is nobody's to change: pages leave it out. */
const isTunnel = ({ service }: { service: string }) => service.startsWith("machine-");
const isMachine = ({ email }: Principal) => email.endsWith("@machines.warren.internal");

export const useServices = () =>
	useBackbone("services", (answer: { services: Service[] }) => answer.services.filter((each) => !isTunnel(each)));
export const useTokens = () =>
	useBackbone("tokens", (answer: { tokens: ServiceToken[] }) => answer.tokens.filter((each) => !isTunnel(each)));
export const usePrincipals = () =>
	useBackbone("principals", (answer: { principals: Principal[] }) =>
		answer.principals.filter((each) => !isMachine(each)),
	);
export const useGrants = (id: string) =>
	useBackbone(`grants/${part(id)}`, (answer: { grants: { service: string }[] }) => answer.grants);
export const useCluster = () => useBackbone("cluster", (answer: Cluster) => answer);
export const useExchanges = (service: string) =>
	useBackbone(`services/${part(service)}/requests`, (answer: { requests: Exchange[] }) => answer.requests);

export function useExposed(machine: MachineId) {
	return useQuery({
		queryKey: [machine, "exposed"],
		queryFn: async ({ signal }) =>
			(await api.request<{ services: Exposed[] }>(machine, "/api/exposed", { signal })).services,
		enabled: useCredential(machine) !== undefined,
		refetchInterval: refreshMs,
	});
}

async function change<T>(
	method: "POST" | "PUT" | "PATCH" | "DELETE",
	path: string,
	body?: object,
	machine: MachineId = self,
): Promise<T> {
	const answer = await api.request<T>(machine, path, { method, ...(body === undefined ? {} : { body }) });
	await Promise.all([
		queryClient.invalidateQueries({ queryKey: servicesKey }),
		queryClient.invalidateQueries({ queryKey: [machine, "exposed"] }),
	]);
	return answer;
}

export const exposePort = (
	machine: MachineId,
	name: string,
	wish: { port: number; kind: Exposed["kind"]; public: boolean; grant: string[] },
) => change<Exposed>("PUT", `/api/exposed/${part(name)}`, wish, machine);
export const hidePort = (machine: MachineId, name: string) =>
	change("DELETE", `/api/exposed/${part(name)}`, undefined, machine);
export const changeService = (
	name: string,
	body: { settings?: ServiceSettings; domains?: string[]; port?: number | null },
) => change<Service>("PATCH", `/api/backbone/services/${part(name)}`, body);
export const removeService = (name: string) => change("DELETE", `/api/backbone/services/${part(name)}`);
export const makeToken = (service: string, kind: string) =>
	change<{ token: string; service: string }>("POST", "/api/backbone/tokens", { service_name: service, kind });
export const revokeToken = (id: string) => change("DELETE", `/api/backbone/tokens/${part(id)}`);
export const registerPrincipal = (name: string, email: string) =>
	change<{ principal_id: string; credential: string }>("POST", "/api/backbone/principals", { name, email });
export const approvePrincipal = (id: string) =>
	change("PATCH", `/api/backbone/principals/${part(id)}`, { state: "active" });
export const revokePrincipal = (id: string) => change("DELETE", `/api/backbone/principals/${part(id)}`);
export const grant = (id: string, service: string) =>
	change("POST", "/api/backbone/grants", { principal_id: id, service });
export const revokeGrant = (id: string, service: string) =>
	change("DELETE", `/api/backbone/grants/${part(id)}/${part(service)}`);
export const replay = (service: string, id: string) =>
	change<{ status: number; body: string }>(
		"POST",
		`/api/backbone/services/${part(service)}/requests/${part(id)}/replay`,
	);
