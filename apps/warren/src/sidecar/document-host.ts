import { type Clock, type Identity, newId, type Random, type UserId } from "@warren/kernel";
import { httpError } from "@warren/net";
import type { DocumentFacts, DocumentHost } from "@warren/sidecar";
import type { DocumentHistory, DocumentRecord, DocumentsList, SyncRelay } from "@warren/sync";
import { applyUpdate, Doc, encodeStateAsUpdate, encodeStateVector } from "yjs";

/** A document's kind stands in its id: stock clients know nothing but ids. */
const kindPrefix = (kind: string) => `${kind}-`;

/** Workspaces over the documents of a sync relay: read whole, changed by an update like anybody's. */
export function syncDocumentHost(deps: {
	readonly relay: SyncRelay;
	readonly documents: DocumentsList;
	readonly history: DocumentHistory;
	readonly clock: Clock;
	readonly random: Random;
}): DocumentHost {
	const { relay, documents, history, random } = deps;
	return {
		async list(who, kind) {
			const all = await documents.list(userOf(who));
			return all
				.filter(({ id }) => id.startsWith(kindPrefix(kind)))
				.sort((a, b) => a.createdAt - b.createdAt)
				.map((document) => factsOf(document, kind));
		},
		async create(who, { kind, name }) {
			const made = await documents.create(userOf(who), { id: kindPrefix(kind) + newId(random), title: name });
			return factsOf(made, kind);
		},
		async rename(who, id, name) {
			return factsOf(await documents.rename(userOf(who), id, name));
		},
		async delete(who, id) {
			await documents.delete(userOf(who), id);
			await relay.drop(id);
		},
		async open(who, id) {
			const user = userOf(who);
			const record = await documents.get(user, id);
			const doc = new Doc();
			applyUpdate(doc, await history.update(id));
			let written = encodeStateVector(doc);
			let changed = false;
			doc.on("update", () => {
				changed = true;
			});
			return {
				facts: factsOf(record),
				doc,
				async flush() {
					// Who only asked has changed nothing, for others' lists neither.
					if (!changed) return;
					changed = false;
					const update = encodeStateAsUpdate(doc, written);
					written = encodeStateVector(doc);
					await relay.insert(id, update, user);
					await documents.touch(id);
				},
				close: () => doc.destroy(),
			};
		},
	};
}

/** @throws WarrenError `forbidden` for whoever is no person. */
function userOf(who: Identity): UserId {
	if (who.kind !== "user") throw httpError("forbidden", "Workspaces are for people with an account.");
	return who.userId;
}

function factsOf(record: DocumentRecord, kind = record.id.split("-")[0] ?? ""): DocumentFacts {
	const { id, title, createdAt, updatedAt, access } = record;
	return { id, kind, name: title, createdAt, updatedAt, readOnly: access === "read-only" };
}
