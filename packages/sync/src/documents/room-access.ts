import type { Identity } from "@warren/kernel";

/** What somebody may do with a room. */
export interface RoomPermit {
	/** The room's name in the log: no id that a client can send. */
	readonly room: string;
	readonly access: "read-only" | "read-write";
	/** False for rooms of presence alone. */
	readonly keepsUpdates: boolean;
	/** Rewrites awareness states of this socket; null refuses one. */
	readonly stamp?: (state: string) => string | null;
}

/** Who may enter which room. Asked at every connect; what changes later reaches open sockets through `disconnect`. */
export interface RoomAccess {
	/** @throws WarrenError `bad_room`, `unknown_document`, `document_forbidden`, or a retryable one when it cannot be asked. */
	permit(identity: Identity | null, id: string): Promise<RoomPermit>;
	/** Grows with each change of anybody's access to this document, and not with those of others: whoever changes theirs keeps nobody waiting. */
	revisionOf(id: string): number;
}
