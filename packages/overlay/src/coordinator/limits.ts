export const coordinatorLimits = {
	/** A peer that is silent this long is gone. */
	heartbeatTimeoutMs: 60_000,
	sweepMs: 5_000,
	/** Peers in all networks. */
	maxPeers: 100_000,
	/** Services that ever had a name. */
	maxServiceNames: 10_000,
	/** Stock clients behind one node. */
	maxChildren: 64,
	/** And those of before, whose addresses are kept for them. */
	maxKeptChildren: 256,
	/** After a start without state: an address given to a newcomer may still be claimed back by who had it. */
	settleMs: 60_000,
	/** Streams of one peer; the oldest goes. */
	maxStreamsPerPeer: 2,
	keepAliveMs: 15_000,
	/** Commands that wait for a peer without a stream. */
	maxPendingCommands: 16,
	/** Between two punches of one pair that nobody asked for. */
	punchEveryMs: 30_000,
	punchAskedEveryMs: 3_000,
	maxPunchPairs: 100_000,
	/** Failed registrations of one address. */
	refusedPerAddress: { perSecond: 1, burst: 30, maxKeys: 10_000 },
} as const;
