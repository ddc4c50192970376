/** Every bound of the relay, by name. Tests stand at each limit and one beyond. */
export const syncLimits = {
	/** Largest message taken from a client: one update, or what it missed while it was away. */
	maxMessageBytes: 64 * 1024 * 1024,
	/** Clocks that one update may add to one client: a GC struct of 12 bytes can claim 2^40. */
	maxClockSpan: 2 ** 31,
	/** How far an update may begin beyond what the room knows of its client: edits made offline arrive after live ones. */
	maxClockGap: 2 ** 24,
	/** Ranges that wait for a gap before them to close, in one room. */
	maxPendingRanges: 10_000,
	/** Ranges of clocks, held and deleted, that one update may name, and one room be in: each costs memory while it is open. */
	maxRanges: 1_000_000,
	/** Nesting of arrays and objects in content; deeper is an attack on the stack of every reader. */
	maxContentDepth: 64,
	/** Bytes of a state vector that a client sends. */
	maxStateVectorBytes: 1024 * 1024,

	/** One awareness message, and one state in it. */
	maxAwarenessBytes: 128 * 1024,
	maxAwarenessStateBytes: 16 * 1024,
	/** Entries in one awareness message: a stock client repeats all that it knows. */
	maxAwarenessEntries: 2_000,
	/** Clients present in one room. */
	maxAwarenessClients: 2_000,
	/** Their states together: whoever joins is told all of them, and must be able to take that. */
	maxPresentStateBytes: 2 * 1024 * 1024,
	/** Clients that left, whose clocks are remembered so that a replay is refused. */
	maxDeparted: 4_000,
	departedMs: 120_000,
	/** A state that is not renewed for so long is removed; stock clients renew every 15 s. */
	awarenessTimeoutMs: 30_000,
	/** A socket that was cut may come back within this before others see it leave. */
	leaveGraceMs: 300,
	/** Awareness of a room goes out at most this often. */
	awarenessWindowMs: 40,

	/** Token bucket of a socket: messages. */
	messagesPerSecond: 500,
	messageBurst: 2_000,
	/** Token bucket of a socket: bytes. */
	bytesPerSecond: 4 * 1024 * 1024,
	byteBurst: 128 * 1024 * 1024,
	/** Token bucket of a shared socket: openings and closings of channels. Each opening asks for a permit. */
	channelsPerSecond: 100,
	channelBurst: 2_000,
	/** Sockets in one room. */
	maxRoomSockets: 2_000,
	/** Bytes of a room that wait for their commit; above it writers are told to come back. */
	maxUncommittedBytes: 128 * 1024 * 1024,
	/** Log and snapshot of one room. */
	maxRoomBytes: 512 * 1024 * 1024,

	/** Above this many bytes waiting for a reader, live frames stop and it goes on from the log when it drains. */
	maxLiveBufferedBytes: 1024 * 1024,
	/** A reader that does not drain for so long is closed. */
	stalledMs: 30_000,
	/** A socket that has not asked for the document by then is closed. */
	firstMessageMs: 15_000,
} as const;

export type SyncLimits = { readonly [K in keyof typeof syncLimits]: number };
