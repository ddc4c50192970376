import { useQuery } from "@tanstack/react-query";
import { localCopyName } from "../documents/local-copy.ts";
import { UnsentEdits } from "../documents/unsent-edits.ts";
import { account, hub, useAccount } from "./hub.ts";
import type { DocumentRecord } from "./hub-types.ts";
import { isAway, type ListedDocument, PendingDocuments } from "./pending-documents.ts";
import { queryClient } from "./warren.tsx";

/** The list of documents, with the last one that was seen kept for a start without the hub. */
interface KeptList {
	readonly rooms: ListedDocument[];
	readonly at: number;
}

const storageKey = (userId: string) => `warren.documents.v1.${userId}`;
const listKey = ["hub", "rooms"] as const;
/** While the hub is away, it is asked again this often. */
const retryMs = 10_000;

const pending = new PendingDocuments(localStorage);
const unsent = new UnsentEdits(localStorage);

export function useDocuments() {
	const userId = useAccount()?.userId ?? "";
	const kept = keptList(userId);
	return useQuery({
		queryKey: listKey,
		queryFn: async ({ signal }): Promise<ListedDocument[]> => {
			await settleDocuments();
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
				const known = queryClient.getQueryData<ListedDocument[]>(listKey)?.find((each) => each.id === id);
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
		await changeHere(id, (userId, at) => pending.put(userId, { id, title, made: true, at }));
	}
	return id;
}

export async function renameDocument(id: string, title: string): Promise<void> {
	try {
		await hub.request(documentPath(id), { method: "PATCH", body: { title } });
		await refreshDocuments();
	} catch (failure) {
		if (!isAway(failure)) throw failure;
		await changeHere(id, (userId, at) => pending.put(userId, { id, title, made: false, at }));
	}
}

/** @returns whether it is gone; false = it goes when the hub is back, and can be kept until then. */
export async function deleteDocument(id: string): Promise<boolean> {
	try {
		await hub.request(documentPath(id), { method: "DELETE" });
		forgetLocalCopy(account.get()?.userId ?? "", id);
		return true;
	} catch (failure) {
		if (!isAway(failure)) throw failure;
		await changeHere(id, (userId, at) => pending.delete(userId, id, at));
		return false;
	}
}

/** A deletion that waits for the hub is taken back. */
export async function keepDocument(id: string): Promise<void> {
	await changeHere(id, (userId) => pending.undelete(userId, id));
}

/** Tells the hub what was made, renamed and deleted without it. @throws ApiError while it is away. */
export async function settleDocuments(): Promise<void> {
	const userId = account.get()?.userId;
	if (userId === undefined) return;
	await pending.settle(
		userId,
		(path, options) => hub.request(path, options),
		(id) => forgetLocalCopy(userId, id),
	);
}

/** Made on this device, and the hub does not know of it yet. */
export function isMadeHere(userId: string, id: string): boolean {
	return pending.isMade(userId, id);
}

async function changeHere(id: string, change: (userId: string, at: number) => void): Promise<void> {
	const userId = account.get()?.userId;
	if (userId === undefined) return;
	change(userId, Date.now());
	// An answer that is on its way would show the list of before.
	await queryClient.cancelQueries({ queryKey: listKey });
	const rooms = pending.applied(userId, queryClient.getQueryData<ListedDocument[]>(listKey) ?? []);
	queryClient.setQueryData(listKey, rooms);
	const record = rooms.find((each) => each.id === id);
	if (record !== undefined) queryClient.setQueryData([...listKey, id], record);
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
	unsent.forget(userId);
	// A browser that cannot list its databases keeps the copies; nobody else can open them there.
	const databases = (await indexedDB.databases?.()) ?? [];
	for (const { name } of databases) if (name?.startsWith(localCopyName(userId, ""))) indexedDB.deleteDatabase(name);
}

/** Where a page still has it open, the browser waits for that one to close. */
function forgetLocalCopy(userId: string, id: string): void {
	unsent.remove(userId, id);
	indexedDB.deleteDatabase(localCopyName(userId, id));
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

function keep(userId: string, rooms: ListedDocument[]): void {
	if (account.get()?.userId !== userId) return;
	try {
		localStorage.setItem(storageKey(userId), JSON.stringify({ rooms, at: Date.now() } satisfies KeptList));
	} catch (failure) {
		console.warn("warren: the list of documents is not kept for offline", failure);
	}
}
