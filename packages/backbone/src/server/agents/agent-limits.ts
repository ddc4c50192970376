export const agentLimits = {
	/** Links of one agent. */
	maxLinksPerAgent: 16_384,
	maxAgentsPerService: 64,
	/** Requests that wait for a link of one service; more are answered 503 at once. */
	maxWaiting: 4096,
	/** How long one waits. */
	waitMs: 5_000,
	/** HTTP connections to a target that nobody uses are given up after this: servers commonly close theirs at 5 s. */
	warmIdleMs: 4_000,
	/** …and after this where their lane's window has grown and little is left for others. */
	wideIdleMs: 500,
	/** An idle link is pinged this often, and one that works in silence after this. */
	pingMs: 15_000,
	/** A pong must come by then. */
	pongMs: 5_000,
	/** Beyond this many bytes that nobody takes, a paused link is not pinged: it is slow, not dead. */
	spareLinks: 8,
	/** Idle lanes of a shared connection that are kept; another one costs a record. */
	parkedLanes: 256,
} as const;
