import { IndexeddbPersistence } from "y-indexeddb";
import * as Y from "yjs";
import type { Account } from "../api/account.ts";
import { documentPath, refreshDocuments } from "../api/documents.ts";
import { ApiError } from "../api/exchange.ts";
import { hub } from "../api/hub.ts";
import type { DocumentRecord } from "../api/hub-types.ts";
import { isAway, type ListedDocument } from "../api/pending-documents.ts";
import { type BundledDocument, bundleLimits, decodeBundle, encodeBundle } from "./bundle.ts";
import { deliver } from "./hand-over.ts";
import { localCopyName } from "./local-copy.ts";
import { saveFile } from "./save-file.ts";
import { UnsentEdits } from "./unsent-edits.ts";

/**
 * A person's documents on their way from one hub to another: each hub is an origin of its own, and what a browser keeps
 * for one origin no page of another can read. So they leave as a file, and merge where the person brings it.
 */

/** With what only this device has of them, and without the hub as far as this device has them. @returns titles left out. */
export async function saveDocuments(records: readonly ListedDocument[], account: Account): Promise<string[]> {
	const kept = new Set(((await indexedDB.databases?.()) ?? []).map(({ name }) => name));
	const documents: BundledDocument[] = [];
	const missing: string[] = [];
	for (const { id, title, access, deletionWaits } of records) {
		if (access !== "owner" || deletionWaits === true) continue;
		const doc = new Y.Doc();
		const found = [
			await atHub(id, doc),
			kept.has(localCopyName(account.userId, id)) && (await onDevice(account.userId, id, doc)),
		];
		if (found.includes(true)) documents.push({ id, title, update: Y.encodeStateAsUpdate(doc).slice() });
		else missing.push(title);
		doc.destroy();
	}
	const day = new Date().toISOString().slice(0, 10);
	saveFile(`warren-documents-${day}.json`, encodeBundle(documents), "application/json");
	return missing;
}

async function atHub(id: string, doc: Y.Doc): Promise<boolean> {
	try {
		Y.applyUpdate(doc, await hub.bytes(`${documentPath(id)}/export?format=update`));
		return true;
	} catch (failure) {
		// 404: made here, and the hub does not know it yet.
		if (isAway(failure) || (failure instanceof ApiError && failure.status === 404)) return false;
		throw failure;
	}
}

async function onDevice(userId: string, id: string, doc: Y.Doc): Promise<boolean> {
	const local = new IndexeddbPersistence(localCopyName(userId, id), doc);
	await local.whenSynced;
	await local.destroy();
	return doc.store.clients.size > 0;
}

export interface Brought {
	/** Titles of what is on this hub's disk now. */
	readonly arrived: readonly string[];
	/** Kept here, and handed over when the hub takes it. */
	readonly waiting: readonly string[];
}

/** @returns null when the file holds no documents. @throws ApiError when the hub cannot be asked. */
export async function bringDocuments(
	file: File,
	account: Account,
	onSignedOut: (token: string) => void,
): Promise<Brought | null> {
	if (file.size > bundleLimits.maxBytes) return null;
	const documents = decodeBundle(new Uint8Array(await file.arrayBuffer()));
	if (documents === null) return null;
	const [arrived, waiting]: [string[], string[]] = [[], []];
	for (const { id: former, title, update } of documents) {
		const doc = new Y.Doc();
		try {
			Y.applyUpdate(doc, update);
		} catch {
			// Not an update: somebody changed the file.
			return null;
		} finally {
			doc.destroy();
		}
		const id = await placeFor(former, title);
		await keepHere(account.userId, id, update);
		((await deliver(id, account, onSignedOut)) ? arrived : waiting).push(title);
	}
	await refreshDocuments();
	return { arrived, waiting };
}

/** @returns the same id, to merge with what this person has under it here, or another where it is somebody else's. */
async function placeFor(id: string, title: string): Promise<string> {
	const make = (as: string) => hub.request("/rooms", { method: "POST", body: { id: as, title } });
	try {
		await make(id);
		return id;
	} catch (failure) {
		if (!isTaken(failure)) throw failure;
	}
	try {
		const { access } = await hub.request<DocumentRecord>(documentPath(id));
		if (access !== "read-only") return id;
	} catch (failure) {
		if (!isTaken(failure)) throw failure;
	}
	const kind = /^(chat|settings|workspace)-/.exec(id)?.[0] ?? "";
	const other = `${kind}${crypto.randomUUID()}`;
	await make(other);
	return other;
}

/** Somebody else's, or deleted here: identifiers are not used again. */
function isTaken(failure: unknown): boolean {
	return failure instanceof ApiError && [403, 404, 409, 410].includes(failure.status);
}

async function keepHere(userId: string, id: string, update: Uint8Array): Promise<void> {
	const doc = new Y.Doc();
	const local = new IndexeddbPersistence(localCopyName(userId, id), doc);
	await local.whenSynced;
	Y.applyUpdate(doc, update);
	// A database closes once what was begun on it has ended.
	await local.destroy();
	doc.destroy();
	new UnsentEdits(localStorage).add(userId, id);
}
