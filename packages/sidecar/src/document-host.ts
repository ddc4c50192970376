import type { Identity } from "@warren/kernel";
import type { Doc } from "yjs";

/** What the sidecar needs of the documents beside it; wired to the sync relay in apps/warren. */
export interface DocumentHost {
	/** Documents of one kind that this person may open, oldest first. */
	list(who: Identity, kind: string): Promise<DocumentFacts[]>;
	create(who: Identity, document: { readonly kind: string; readonly name: string }): Promise<DocumentFacts>;
	rename(who: Identity, id: string, name: string): Promise<DocumentFacts>;
	delete(who: Identity, id: string): Promise<void>;
	/** @throws WarrenError `not_found`, `forbidden`. */
	open(who: Identity, id: string): Promise<OpenDocument>;
}

export interface DocumentFacts {
	readonly id: string;
	readonly kind: string;
	readonly name: string;
	readonly createdAt: number;
	readonly updatedAt: number;
	readonly readOnly: boolean;
}

/** A live copy of a document, in step with everyone else's. */
export interface OpenDocument {
	readonly facts: DocumentFacts;
	readonly doc: Doc;
	/** Resolves when every change made so far is on disk. */
	flush(): Promise<void>;
	close(): void;
}
