import type { Account } from "../api/account.ts";
import { isMadeHere, refreshDocuments, settleDocuments } from "../api/documents.ts";
import { OpenDocument } from "./open-document.ts";
import { UnsentEdits } from "./unsent-edits.ts";

/** One document that the hub does not take in this time waits for the next one. Milliseconds. */
const patienceMs = 30_000;

let running: Promise<void> | null = null;

/** Gives the hub what was written here without it, also in documents that nobody has open now. Once at a time. */
export function handOverEdits(account: Account, onSignedOut: (token: string) => void): Promise<void> {
	running ??= handOver(account, onSignedOut).finally(() => {
		running = null;
	});
	return running;
}

async function handOver(account: Account, onSignedOut: (token: string) => void): Promise<void> {
	// Titles and deletions first: a text that comes alone would make a document without its name.
	await settleDocuments();
	const unsent = new UnsentEdits(localStorage).list(account.userId);
	for (const id of unsent) await deliver(id, account, onSignedOut);
	if (unsent.length > 0) await refreshDocuments();
}

/** @returns whether the hub has all of it on its disk. */
export async function deliver(id: string, account: Account, onSignedOut: (token: string) => void): Promise<boolean> {
	const document = new OpenDocument(id, account, isMadeHere(account.userId, id), onSignedOut);
	try {
		return await new Promise<boolean>((resolve) => {
			const timer = setTimeout(() => resolve(false), patienceMs);
			const look = () => {
				const { link } = document.view;
				if (!document.handedOver && link.kind !== "refused") return;
				clearTimeout(timer);
				resolve(link.kind !== "refused");
			};
			document.watch(look);
			look();
		});
	} finally {
		document.close();
	}
}
