/** Bounds of the proxy and the chat; bytes and milliseconds. */
export const aiLimits = {
	/** Of a request's body; the largest that a vendor takes. */
	maxRequestBytes: 32 * 1024 * 1024,
	/** Bodies up to this are read whole before they go on: one write upstream, and a retry can send them again. */
	maxHeldBytes: 1024 * 1024,
	maxUploadIdleMs: 60_000,
	connectMs: 10_000,
	/** Long answers that are not streamed are silent until they are done. */
	firstByteMs: 10 * 60_000,
	idleMs: 5 * 60_000,
	/** A reader that takes nothing for so long is cut: its stream holds a connection upstream. */
	maxStallMs: 5 * 60_000,
	maxConnectionsPerOrigin: 256,
	keepAliveMs: 10_000,
	/** One person's open requests. */
	maxStreamsPerUser: 64,
	/** The meter's own memory: longest line of a stream, largest answer that is read as one JSON. */
	maxMeteredLineBytes: 1024 * 1024,
	maxMeteredBodyBytes: 4 * 1024 * 1024,
	maxModelNameLength: 120,
	maxAttempts: 4,
	maxRetryWaitMs: 10_000,
	requests: { perSecond: 20, burst: 200, maxKeys: 20_000 },
} as const;
