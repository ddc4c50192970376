import { useQuery } from "@tanstack/react-query";
import { account, hub, useAccount } from "./hub.ts";
import type { DocumentRecord } from "./hub-types.ts";
import { isAway, PendingDocuments } from "./pending-documents.ts";
import { queryClient } from "./warren.tsx";

/** The list of documents, with the last one that was seen kept for a start without the hub. */
interface KeptList {
	readonly rooms: DocumentRecord[];
	readonly at: number;
}

const storageKey = (userId: string) => `warren.documents.v1.${userId}`;
const listKey = ["hub", "rooms"] as const;
/** While the hub is away, it is asked again this often. */
const retryMs = 10_000;

const pending = new PendingDocuments(localStorage);

export function useDocuments() {
	const userId = useAccount()?.userId ?? "";
	const kept = keptList(userId);
	return useQuery({
		queryKey: listKey,
		queryFn: async ({ signal }) => {
			await pending.settle(userId, (path, options) => hub.request(path, options));
			const answer = await hub.request<{ rooms: DocumentRecord[] }>("/rooms", { signal });
			const rooms = pending.applied(userId, answer.rooms);
			keep(userId, rooms);
			return rooms;
		},
		refetchInterval: (query) => (query.state.error === null ? false : retryMs),
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
		queryFn: async ({ signal }) => {
			try {
				return await hub.request<DocumentRecord>(documentPath(id), { signal });
			} catch (failure) {
				const known = queryClient.getQueryData<DocumentRecord[]>(listKey)?.find((each) => each.id === id);
				if (known === undefined || !isAway(failure)) throw failure;
				return known;
			}
		},
		placeholderData: () => list?.find((each) => each.id === id),
	});
}

/** At the hub, or here until the hub is back. @returns its id. */
export async function makeDocument(draft: { readonly id?: string; readonly title: string }): Promise<string> {
	const { id = crypto.randomUUID(), title } = draft;
	try {
		await hub.request("/rooms", { method: "POST", body: { id, title } });
		await refreshDocuments();
	} catch (failure) {
		if (!isAway(failure)) throw failure;
		await changeHere({ id, title, made: true });
	}
	return id;
}

export async function renameDocument(id: string, title: string): Promise<void> {
	try {
		await hub.request(documentPath(id), { method: "PATCH", body: { title } });
		await refreshDocuments();
	} catch (failure) {
		if (!isAway(failure)) throw failure;
		await changeHere({ id, title, made: false });
	}
}

/** Made on this device, and the hub does not know of it yet. */
export function isMadeHere(userId: string, id: string): boolean {
	return pending.isMade(userId, id);
}

async function changeHere(change: { id: string; title: string; made: boolean }): Promise<void> {
	const userId = account.get()?.userId;
	if (userId === undefined) return;
	pending.put(userId, { ...change, at: Date.now() });
	// An answer that is on its way would show the list of before.
	await queryClient.cancelQueries({ queryKey: listKey });
	const rooms = pending.applied(userId, queryClient.getQueryData<DocumentRecord[]>(listKey) ?? []);
	queryClient.setQueryData(listKey, rooms);
	const record = rooms.find((each) => each.id === change.id);
	if (record !== undefined) queryClient.setQueryData([...listKey, change.id], record);
	keep(userId, rooms);
	void refreshDocuments();
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
	pending.forget(userId);
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
