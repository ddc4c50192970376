import { type AwarenessEntry, encodeEntries, entryBytes, readAwareness } from "./awareness.ts";
import { inParts } from "./in-parts.ts";
import { syncLimits } from "./limits.ts";
import { Malformed, Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

/**
 * What relays that share a log tell each other about a room: hints. Whoever misses one finds the same in the log, or
 * hears it again. Every note is `v` type, string relay (who says it), then the following; `v` and `bytes` as in frames.ts.
 */

/** `0 relay v first v count`, then `count` × `bytes`, or nothing when they are too long: look at the log. */
const noteUpdates = 0;
/** `1 relay v count`, then per client string owner, and last `bytes`: their awareness entries in the same order. */
const notePresence = 1;
/** `2 relay`: it has opened the room, and asks who is present elsewhere. */
const noteHello = 2;
/** `3 relay v upto v snapshotBytes`: the log was compacted. */
const noteCompacted = 3;
/** `4 relay v code string error string message`: the room ended for everybody (deleted, damaged). */
const noteEnded = 4;

/** Notes carry updates up to this size; a bus takes a megabyte at most. */
export const maxNoteBytes = 256 * 1024;

/** Somebody present, and whose presence it is: only they may take it over. */
export interface OwnedEntry {
	readonly owner: string;
	readonly entry: AwarenessEntry;
}

export type RoomNote =
	/** `updates` is null when they must be read from the log. */
	| {
			readonly type: "updates";
			readonly first: number;
			readonly count: number;
			readonly updates: readonly Uint8Array[] | null;
	  }
	| { readonly type: "presence"; readonly entries: readonly OwnedEntry[] }
	| { readonly type: "hello" }
	| { readonly type: "compacted"; readonly upto: number; readonly snapshotBytes: number }
	| { readonly type: "ended"; readonly code: number; readonly error: string; readonly message: string };

export function encodeNote(relay: string, note: RoomNote): Uint8Array {
	const writer = new Writer();
	const begin = (type: number) => {
		writer.varUint(type);
		writer.varString(relay);
	};
	switch (note.type) {
		case "updates":
			begin(noteUpdates);
			writer.varUint(note.first);
			writer.varUint(note.count);
			for (const update of note.updates ?? []) writer.varBytes(update);
			break;
		case "presence":
			begin(notePresence);
			writer.varUint(note.entries.length);
			for (const { owner } of note.entries) writer.varString(owner);
			writer.varBytes(encodeEntries(note.entries.map((each) => each.entry)));
			break;
		case "hello":
			begin(noteHello);
			break;
		case "compacted":
			begin(noteCompacted);
			writer.varUint(note.upto);
			writer.varUint(note.snapshotBytes);
			break;
		case "ended":
			begin(noteEnded);
			writer.varUint(note.code);
			writer.varString(note.error);
			writer.varString(note.message);
			break;
	}
	return writer.take();
}

/** Presence in as many notes as it takes: what is longer than the bus takes, it refuses. */
export function presenceNotes(entries: readonly OwnedEntry[]): RoomNote[] {
	const bytesOf = ({ owner, entry }: OwnedEntry) => entryBytes(entry) + maxLengthBytes + Buffer.byteLength(owner);
	const most = { bytes: maxNoteBytes, entries: syncLimits.maxAwarenessEntries };
	return inParts(entries, bytesOf, most).map((each) => ({ type: "presence", entries: each }));
}

/** A string's length. */
const maxLengthBytes = 8;

/** @returns null for what is no note of this version. Updates are copies. */
export function decodeNote(bytes: Uint8Array): { readonly relay: string; readonly note: RoomNote } | null {
	const reader = new Reader(bytes);
	try {
		const type = reader.varUint();
		const relay = reader.varString();
		const note = readNote(type, reader);
		if (note === null) return null;
		reader.end();
		return { relay, note };
	} catch (thrown) {
		if (thrown instanceof Malformed) return null;
		throw thrown;
	}
}

function readNote(type: number, reader: Reader): RoomNote | null {
	switch (type) {
		case noteUpdates: {
			const first = reader.varUint();
			const count = reader.varUint();
			if (reader.left === 0) return { type: "updates", first, count, updates: null };
			const updates: Uint8Array[] = [];
			for (let i = 0; i < count; i++) updates.push(reader.varBytes().slice());
			return { type: "updates", first, count, updates };
		}
		case notePresence: {
			const count = reader.varUint();
			if (count > syncLimits.maxAwarenessClients) return null;
			const owners = Array.from({ length: count }, () => reader.varString());
			const entries = readAwareness(reader.varBytes());
			if (typeof entries === "string" || entries.length !== count) return null;
			return { type: "presence", entries: entries.map((entry, at) => ({ owner: owners[at] as string, entry })) };
		}
		case noteHello:
			return { type: "hello" };
		case noteCompacted:
			return { type: "compacted", upto: reader.varUint(), snapshotBytes: reader.varUint() };
		case noteEnded:
			return { type: "ended", code: reader.varUint(), error: reader.varString(), message: reader.varString() };
		default:
			return null;
	}
}
