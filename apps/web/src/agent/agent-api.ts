import { useQuery } from "@tanstack/react-query";
import { account, useAccount } from "../api/hub.ts";
import { self } from "../api/machine.ts";
import { api, useCredential } from "../api/warren.tsx";

export interface AgentStatus {
	readonly state: string;
	readonly reason?: string;
	readonly sessionEnded?: boolean;
	readonly toolsChanged?: boolean;
	readonly folder?: string;
	readonly providers?: readonly { readonly id: string; readonly name: string; readonly models: readonly string[] }[];
	readonly plugins?: readonly string[];
}

export interface AgentSession {
	readonly id: string;
	readonly title: string;
	readonly directory: string;
	readonly time: { readonly created: number; readonly updated: number };
}

export interface AgentPart {
	readonly id: string;
	readonly type: string;
	readonly text?: string;
	readonly tool?: string;
	readonly state?: {
		readonly status: string;
		readonly title?: string;
		readonly output?: string;
		readonly error?: string;
	};
}

export interface AgentMessage {
	readonly info: {
		readonly id: string;
		readonly role: "user" | "assistant";
		readonly error?: { readonly name?: string; readonly data?: { readonly message?: string } };
		readonly time: { readonly created: number; readonly completed?: number };
	};
	readonly parts: readonly AgentPart[];
}

export interface AgentPermission {
	readonly id: string;
	readonly sessionID: string;
	readonly permission: string;
	readonly patterns?: readonly string[];
}

/**
 * Asks this page's own machine. The person's session goes along so that the agent's calls reach the hub as theirs; to no
 * other machine, which could keep it.
 */
export function askAgent<T>(
	path: string,
	options: { method?: "GET" | "POST" | "DELETE"; body?: unknown; signal?: AbortSignal } = {},
) {
	return api.request<T>(self, `/api/agent${path}`, { ...options, headers: sessionHeader(), timeoutMs: 60_000 });
}

export function sessionHeader(): Record<string, string> {
	const token = account.get()?.token;
	return token === undefined ? {} : { "x-warren-hub-session": token };
}

export const inFolder = (path: string, folder: string) => `/opencode/${path}?directory=${encodeURIComponent(folder)}`;

export function useAgent() {
	const signedIn = useCredential(self) !== undefined && useAccount() !== undefined;
	return useQuery({
		queryKey: [self, "agent"],
		queryFn: ({ signal }) => askAgent<AgentStatus>("", { signal }),
		enabled: signedIn,
		// It starts within seconds, and may end at any time; what fails stays long enough to be read.
		refetchInterval: ({ state: { data, error } }) => (data?.state === "running" || error !== null ? 10_000 : 1_500),
	});
}
