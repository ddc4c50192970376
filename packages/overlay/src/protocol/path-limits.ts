/** Times in milliseconds; most are the field's own (Tailscale's disco). */
export const pathLimits = {
	/** A candidate is probed this often while a path is sought. */
	seekEveryMs: 5_000,
	/** How long it is sought before it rests until the next round. */
	seekForMs: 30_000,
	/** A better path is looked for this often. */
	reseekEveryMs: 60_000,
	heartbeatMs: 3_000,
	/** An answer proves its path for this long. */
	trustMs: 6_500,
	/** Sent both ways for this long, then the relay alone. */
	doubtMs: 10_000,
	/** Without traffic a path is only kept open, below what NATs forget. */
	idleAfterMs: 45_000,
	idleHeartbeatMs: 20_000,
	idleTrustMs: 45_000,
	punchEveryMs: 10_000,
	/** Pings of one punch: simultaneous, then twice more. */
	punchPings: [0, 100, 250],
	maxCandidates: 16,
	/** Addresses that nobody named are taken up this often: a replayed ping shows any address. */
	strayEveryMs: 200,
	maxPending: 64,
	pendingMs: 5_000,
	/** Better by this share and this much, or it is not worth a move. */
	betterShare: 0.8,
	betterMs: 5,
	/** Of inner packets; tried together, thrice. */
	mtuLadder: [1420, 1380, 1340, 1280],
	mtuTries: 3,
	/** Before it is believed that a path which answers carries nothing of them: loss alone does not look like that. */
	narrowTries: 5,
	mtuTryMs: 1_000,
	/** A path in use is asked this often whether it still carries what it did. */
	mtuCheckEveryMs: 10_000,
	/** WireGuard around an inner packet: 16 bytes of header, 16 of tag. */
	sealedBytes: 32,
} as const;
