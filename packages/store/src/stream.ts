import type { Closeable } from "@warren/kernel";

export interface StreamMessage {
	/** Grows with each message of the stream. */
	readonly seq: number;
	readonly subject: string;
	readonly data: Uint8Array;
	/** 1 at the first delivery to a reader, more when it was tried before. */
	readonly attempt: number;
}

export interface StreamOptions {
	/** Oldest messages go above this. */
	readonly maxBytes: number;
	/** …and when they are older than this. */
	readonly maxAgeMs: number;
	/** An identifier is remembered for so long: the same message offered again within it is stored once. */
	readonly duplicateWindowMs: number;
}

/** What one message may have at most: above it an append is refused. */
export const maxStreamMessageBytes = 512 * 1024;

/** Messages that are kept until they were dealt with: each reaches each named reader at least once, in order. */
export interface Stream extends Closeable {
	/**
	 * On disk when it resolves. @param id the same one within the duplicate window is stored once.
	 * @throws WarrenError `store_away` (whether it was stored is not known: offer it again with the same id), `store_full`,
	 *   `store_failed`, `message_too_large`.
	 */
	append(subject: string, data: Uint8Array, options?: { readonly id?: string }): Promise<AppendedMessage>;
	/**
	 * Each message once, in order, to one of those that read under this name, wherever they are; the name's place is
	 * kept. What `receive` rejects is given again after a moment, and the later ones wait.
	 * @param reader letters, digits, dashes.
	 */
	read(reader: string, receive: (message: StreamMessage) => Promise<void> | void): Promise<Closeable>;
	/** Forgets a reader's place. */
	forget(reader: string): Promise<void>;
}

export interface AppendedMessage {
	readonly seq: number;
	/** It was stored before, under that number. */
	readonly duplicate: boolean;
}
