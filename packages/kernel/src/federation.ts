/** A message of this warren for others, until it is settled. */
export interface OutboxEntry {
	/** Grows; the order in which it goes out. */
	readonly seq: number;
	/** Never used again by this warren: 1 to 64 of `A–Z a–z 0–9 . _ : -`. */
	readonly id: string;
	/** Null = everybody who wants the room. */
	readonly targetMeshId: string | null;
	readonly room: string | null;
	readonly payload: Readonly<Record<string, unknown>>;
}

export interface OutboxOutcome {
	readonly outcome: "delivered" | "queued" | "offline" | "rejected";
	/** Why, for people; empty when there is nothing to say. */
	readonly detail: string;
}

/** A message of another warren. All of it but `fromMeshId` and `fromMeshName` is whatever they like. */
export interface FederatedIncoming {
	readonly fromMeshId: string;
	readonly fromMeshName: string;
	/** Null from gateways that know no ids: such a message comes at most once. */
	readonly id: string | null;
	readonly payload: Readonly<Record<string, unknown>>;
	/** The Ed25519 key that signed it: the one which this mesh has had since first contact. Null = not signed. */
	readonly signedBy: string | null;
}

/** A domain that talks with other warrens (rooms), as the link to a gateway sees it. */
export interface FederationClient {
	/** Above `after`, oldest first; what is settled is not among them. */
	pending(after: number, limit: number): readonly OutboxEntry[];
	/** Safe to call again. */
	settle(seq: number, outcome: OutboxOutcome): void;
	/** On disk, or of no interest, when it returns; a repeated one is dropped. @throws when it cannot be written. */
	receive(message: FederatedIncoming): void;
	/** Rooms that are wanted, and those that others may see. */
	names(): { readonly wanted: readonly string[]; readonly shown: readonly string[] };
	participants(): readonly { readonly id: string; readonly name: string; readonly type: string }[];
	/** How many wait to be sent. */
	readonly waiting: number;
	/** Something to send, or other rooms. Returns its own removal. */
	onChange(watcher: () => void): () => void;
}
