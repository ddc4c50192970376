import type { Checkpoint } from "../log/update-log.ts";

export interface DocumentFacts {
	/** Of log and snapshot. */
	readonly bytes: number;
	/** Number of the last one. */
	readonly updates: number;
	/** Why it is quarantined, or null. */
	readonly quarantine: string | null;
}

/** What is asked of a document as a whole, wherever its bytes are: beside the list, or in an object of their own. */
export interface DocumentContents {
	facts(room: string): Promise<DocumentFacts>;
	/** Ends its sockets, and everything that it has. */
	drop(room: string): Promise<void>;
	checkpoints(room: string): Promise<Checkpoint[]>;
	/** Of the document as it stands. @returns null when it is empty. */
	checkpoint(room: string, label: string): Promise<Checkpoint | null>;
	/** @throws WarrenError `unknown_checkpoint`. */
	checkpointUpdate(room: string, id: number): Promise<Uint8Array>;
	restore(room: string, id: number, actor: string): Promise<void>;
	/** The whole document as one update. */
	update(room: string): Promise<Uint8Array>;
	json(room: string): Promise<unknown>;
	hash(room: string): Promise<string>;
}
