/**
 * The relay's protocol, for servers, links and browsers alike: frames, awareness, the room machine. No I/O. Rules:
 * SPEC.md.
 */
export { type AwarenessEntry, AwarenessTable, encodeEntries, readAwareness } from "./awareness.ts";
export { AwarenessClient } from "./awareness-client.ts";
export { Coverage, readStateVector } from "./coverage.ts";
export {
	ackSubprotocol,
	type ClientFrame,
	decodeFrame,
	encodeAwareness,
	encodeDurable,
	encodePermissionDenied,
	encodeQueryAwareness,
	encodeStep1,
	encodeStep2,
	encodeUpdate,
	type FrameError,
} from "./frames.ts";
export { type SyncLimits, syncLimits } from "./limits.ts";
export {
	decodeMux,
	encodeMuxClose,
	encodeMuxClosed,
	encodeMuxMessage,
	encodeMuxOpen,
	type MuxFrame,
	maxMuxChannels,
	muxSubprotocol,
} from "./mux.ts";
export type {
	LoggedUpdate,
	MemberOptions,
	MemberStanding,
	PendingUpdate,
	RoomEffect,
	SocketId,
} from "./room-effects.ts";
export { RoomMachine } from "./room-machine.ts";
export { decodeNote, encodeNote, maxNoteBytes, type OwnedEntry, presenceNotes, type RoomNote } from "./room-notes.ts";
export { type ClockRange, emptyUpdate, readUpdate, type UpdateFacts } from "./update-facts.ts";
export { runsBySource, UpdateSequence } from "./update-sequence.ts";
