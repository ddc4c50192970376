import { useQuery } from "@tanstack/react-query";
import { ApiError } from "../api/exchange.ts";
import { account, useAccount } from "../api/hub.ts";
import { self } from "../api/machine.ts";
import { api, useCredential } from "../api/warren.tsx";
import { t } from "./text.ts";

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

/** What OpenCode calls a session that it has not named yet, after the time of day. */
const unnamed = /^New session - \d{4}-/;

export const titleOf = ({ title }: AgentSession) => (title === "" || unnamed.test(title) ? t.untitled : title);

export const sessionPath = (id: string) => `/agent/${encodeURIComponent(id)}`;

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
		/** Which model answered, and whose it is. */
		readonly providerID?: string;
		readonly modelID?: string;
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
	return api
		.request<T>(self, `/api/agent${path}`, { ...options, headers: sessionHeader(), timeoutMs: 60_000 })
		.catch((failure: unknown) => {
			throw inOurForm(failure);
		});
}

/** OpenCode says what is wrong as `{name, data: {message}}`. */
function inOurForm(failure: unknown): unknown {
	if (!(failure instanceof ApiError)) return failure;
	const { name, data } = failure.details as { name?: unknown; data?: { message?: unknown } };
	return typeof data?.message === "string"
		? new ApiError(failure.status, { error: name, message: data.message })
		: failure;
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
