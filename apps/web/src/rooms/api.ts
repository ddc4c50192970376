import { queryOptions, useInfiniteQuery, useQuery, useQueryClient } from "@tanstack/react-query";
import { useEffect } from "react";
import { openFeed } from "../api/events.ts";
import { type MachineId, self } from "../api/machine.ts";
import { api, useCredential } from "../api/warren.tsx";
import { apiPath } from "./paths.ts";
import { flushPending } from "./pending.ts";

/** The shapes of docs/api-rooms.md. */
export interface Message {
	id: string;
	seq: number;
	roomId: string;
	sender: { id: string; name: string; kind: string };
	content: string;
	createdAt: number;
	editedAt: number | null;
	deletedAt: number | null;
	from: { meshId: string; name: string; signed: boolean } | null;
	delivery: string | null;
	mine: boolean;
}

export interface Room {
	id: string;
	name: string;
	visibility: "public" | "private";
	federated: boolean;
	createdBy: string;
	createdAt: number;
	joined: boolean;
	members: number;
	unread: number;
	last: Message | null;
}

export interface GatewayStatus {
	configured: boolean;
	fixed: boolean;
	connected: boolean;
	state: "off" | "connecting" | "connected" | "waiting" | "refused" | "closed";
	reason: string | null;
	meshId: string | null;
	meshName: string | null;
	gatewayUrl: string;
	waiting: number;
}

export interface Participant {
	id: string;
	name: string;
	type: string;
	meshId: string;
	meshName: string;
}

export interface Instance {
	meshId: string;
	name: string;
	publicRooms: string[];
}

/** Whom this machine talks with, and whose key is whose. */
export interface Trust {
	own: { fingerprint: string };
	access: { allow: string[] | null; block: string[] };
	meshes: {
		meshId: string;
		name: string;
		fingerprint: string;
		refused: number;
		refusedWhy: string | null;
		offered: string | null;
	}[];
}

const pageSize = 50;

const roomsQuery = (machine: MachineId) =>
	queryOptions({
		queryKey: [machine, "rooms"],
		queryFn: async ({ signal }) => (await api.request<{ rooms: Room[] }>(machine, "/api/rooms", { signal })).rooms,
	});

export function useRooms(machine: MachineId) {
	return useQuery(roomsQuery(machine));
}

/** Messages that nobody here has read, in rooms that they joined. */
export function useUnread(machine: MachineId): number {
	const { data } = useQuery({
		...roomsQuery(machine),
		enabled: useCredential(machine) !== undefined,
		select: (rooms) => rooms.reduce((sum, room) => sum + (room.joined ? room.unread : 0), 0),
	});
	return data ?? 0;
}

/** The newest page first; older ones as they are asked for. */
export function useMessages(machine: MachineId, room: string) {
	return useInfiniteQuery({
		queryKey: [machine, "room-messages", room],
		queryFn: ({ pageParam, signal }) =>
			api.request<{ messages: Message[]; more: boolean }>(
				machine,
				apiPath(room, `/messages?limit=${pageSize}${pageParam === 0 ? "" : `&before=${pageParam}`}`),
				{ signal },
			),
		initialPageParam: 0,
		getNextPageParam: ({ messages, more }) => (more ? messages[0]?.seq : undefined),
		staleTime: 0,
	});
}

export function useGateway(machine: MachineId) {
	return useQuery({
		queryKey: [machine, "gateway"],
		queryFn: ({ signal }) => api.request<GatewayStatus>(machine, "/api/gateway/status", { signal }),
	});
}

export function useTrust(machine: MachineId) {
	return useQuery({
		queryKey: [machine, "gateway", "trust"],
		queryFn: ({ signal }) => api.request<Trust>(machine, "/api/gateway/trust", { signal }),
	});
}

export function useInstances(machine: MachineId) {
	return useQuery({
		queryKey: [machine, "gateway", "instances"],
		queryFn: async ({ signal }) =>
			(await api.request<{ instances: Instance[] }>(machine, "/api/gateway/instances", { signal })).instances,
	});
}

export function useRemoteParticipants(machine: MachineId) {
	return useQuery({
		queryKey: [machine, "gateway", "participants"],
		queryFn: async ({ signal }) =>
			(await api.request<{ participants: Participant[] }>(machine, "/api/gateway/participants", { signal }))
				.participants,
	});
}

/** Keeps lists and messages fresh while the page is open, and sends what waits once the machine is there again. */
export function useRoomsFeed(machine: MachineId): void {
	const client = useQueryClient();
	const token = useCredential(machine)?.token;
	const ownToken = useCredential(self)?.token;
	// biome-ignore lint/correctness/useExhaustiveDependencies: a new token must reopen the feed
	useEffect(() => {
		if (token === undefined || ownToken === undefined) return;
		const refresh = (...key: string[]) => void client.invalidateQueries({ queryKey: [machine, ...key] });
		const feed = openFeed(api, machine, {
			onEvent(told) {
				const event = told as { type: string; room?: string };
				if (event.type === "rooms") refresh("rooms");
				else if (event.type === "gateway") refresh("gateway");
				else if (event.type === "room-messages") {
					refresh("rooms");
					refresh("gateway");
					if (event.room !== undefined) refresh("room-messages", event.room);
				}
			},
			onLive() {
				refresh("rooms");
				refresh("room-messages");
				refresh("gateway");
				void flushPending(machine);
			},
			onState() {},
		});
		return () => feed.close();
	}, [client, machine, token, ownToken]);
}
