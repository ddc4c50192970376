/** Bounds of the loop around the rooms; those of the rooms themselves are the protocol's `syncLimits`. */
export const relayLimits = {
	/** Nothing waits after an idle moment; under load, updates wait for others to share their commit: so long at least… */
	minWindowMs: 5,
	/** …and so long at most, from an update's arrival until the last reader has been told. */
	maxDelayMs: 46,
	/** Rooms open at a time; those that nobody uses are closed first. */
	maxOpenRooms: 20_000,
	/** Sockets of one person (of one owner), over all rooms; the links of a sidecar among them. */
	maxSocketsPerOwner: 4_000,
	/** Where relays share a log: how often one looks how far it reaches, beside what it hears… */
	headsMs: 5_000,
	/** …and while it hears nothing. */
	headsAloneMs: 500,
	/** A room without sockets is forgotten after this. */
	idleRoomMs: 10_000,
	/** Bytes read from the log at a time for a reader that is behind. */
	readAheadBytes: 256 * 1024,
	/** The newest updates of a room, kept in memory for readers that are a little behind. */
	recentBytes: 16 * 1024,
	/** Messages above this are sent in fragments, as fast as the reader takes them. */
	fragmentBytes: 64 * 1024,
	/** Messages that wait behind fragments for one reader. */
	maxWaitingBytes: 8 * 1024 * 1024,
	/** A snapshot up to this size is sent whole, whatever the client has of it. */
	wholeSnapshotBytes: 64 * 1024,
	/** A tail up to this size is merged for joiners: what costs most to merge takes half a second of everybody's. A longer one goes out update by update. */
	mergedTailBytes: 256 * 1024,
	/** First syncs kept ready to send, over all rooms; the least recently used go first. */
	maxPreparedBytes: 128 * 1024 * 1024,
	/** Differences that wait for the worker; above it a client gets the whole snapshot. */
	maxWaitingDifferences: 16,

	/** A room is compacted at so many updates in its tail, if they are at least this share of the snapshot… */
	compactAtUpdates: 500,
	compactAtLeastShare: 0.05,
	/** …or when the tail is this share of the snapshot, and not tiny… */
	compactAtShare: 0.25,
	compactAtBytes: 64 * 1024,
	/** …or at so many updates, whatever their size. */
	compactAlwaysAtUpdates: 20_000,
	/** A room rests so many times as long as its last compaction took: a hundredth of a core goes into it, at most… */
	compactRestFactor: 100,
	/** …but never longer than this. */
	maxCompactRestMs: 60_000,

	/** A checkpoint is made of a compacted room at most this often; so many are kept. */
	checkpointEveryMs: 10 * 60_000,
	keptCheckpoints: 50,

	/** Open sockets are looked through this often for sessions that are over. */
	expiryCheckMs: 30_000,

	/** Closes of a relay that stops are spread over this: stock clients have no jitter. */
	drainMs: 1_000,
	drainPerSocketMs: 5,
} as const;
