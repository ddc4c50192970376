import { useQuery } from "@tanstack/react-query";
import { account, hub, useAccount } from "./hub.ts";
import type { DocumentRecord } from "./hub-types.ts";
import { queryClient } from "./warren.tsx";

/** The list of documents, with the last one that was seen kept for a start without the hub. */
interface KeptList {
	readonly rooms: DocumentRecord[];
	readonly at: number;
}

const storageKey = (userId: string) => `warren.documents.v1.${userId}`;
const listKey = ["hub", "rooms"] as const;

export function useDocuments() {
	const userId = useAccount()?.userId ?? "";
	const kept = keptList(userId);
	return useQuery({
		queryKey: listKey,
		queryFn: async ({ signal }) => {
			const { rooms } = await hub.request<{ rooms: DocumentRecord[] }>("/rooms", { signal });
			keep(userId, rooms);
			return rooms;
		},
		enabled: userId !== "",
		staleTime: 5_000,
		...(kept === undefined ? {} : { initialData: kept.rooms, initialDataUpdatedAt: kept.at }),
	});
}

/** One document's record; from the list while the hub has not answered. */
export function useDocument(id: string) {
	const list = useDocuments().data;
	return useQuery({
		queryKey: [...listKey, id],
		queryFn: ({ signal }) => hub.request<DocumentRecord>(documentPath(id), { signal }),
		placeholderData: () => list?.find((each) => each.id === id),
	});
}

export const documentPath = (id: string) => `/rooms/${encodeURIComponent(id)}`;
export const refreshDocuments = () => queryClient.invalidateQueries({ queryKey: listKey });

/** The name that something has in a list of files. */
export function fileNameOf(title: string, extension: string): string {
	const name = title
		.normalize()
		.replace(/[\p{C}<>:"/\\|?*]+/gu, "-")
		.replace(/^[.\s-]+|[.\s-]+$/g, "")
		.slice(0, 80);
	return `${name === "" ? "document" : name}.${extension}`;
}

/** Forgets what this browser keeps of a person's documents: the list, and each copy. */
export async function forgetLocalDocuments(userId: string): Promise<void> {
	localStorage.removeItem(storageKey(userId));
	// A browser that cannot list its databases keeps the copies; nobody else can open them there.
	const databases = (await indexedDB.databases?.()) ?? [];
	for (const { name } of databases) if (name?.startsWith(`warren-document/${userId}/`)) indexedDB.deleteDatabase(name);
}

function keptList(userId: string): KeptList | undefined {
	try {
		const parsed: unknown = JSON.parse(localStorage.getItem(storageKey(userId)) ?? "null");
		if (typeof parsed !== "object" || parsed === null || !Array.isArray((parsed as KeptList).rooms)) return undefined;
		return parsed as KeptList;
	} catch {
		// Unreadable or refused: as if none had been kept.
		return undefined;
	}
}

function keep(userId: string, rooms: DocumentRecord[]): void {
	if (account.get()?.userId !== userId) return;
	try {
		localStorage.setItem(storageKey(userId), JSON.stringify({ rooms, at: Date.now() } satisfies KeptList));
	} catch (failure) {
		console.warn("warren: the list of documents is not kept for offline", failure);
	}
}
