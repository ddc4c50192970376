/**
 * The numbers of the WireGuard paper (section 6.1 and 6.5) and, apart from them, our own limits.
 * Durations in milliseconds.
 */
export const specification = {
	rekeyAfterMs: 120_000,
	rejectAfterMs: 180_000,
	rekeyTimeoutMs: 5_000,
	rekeyTimeoutJitterMs: 334,
	rekeyAttemptMs: 90_000,
	keepaliveTimeoutMs: 10_000,
	cookieLifetimeMs: 120_000,
	/** How early a cookie's holder stops using it: it may have been made this long before it came. */
	cookieLatencyMs: 5_000,
	/**
	 * The paper rekeys after 2^60 messages and refuses after 2^64 − 2^13 − 1. A number is exact to 2^53 only, so these
	 * are ours, and earlier: at a million messages a second a session of 180 s stays far below either.
	 */
	rekeyAfterMessages: 2 ** 52,
	rejectAfterMessages: 2 ** 53 - 2 ** 13 - 1,
	replayWindow: 8192,
} as const;

export const limits = {
	/** Initiations of one peer are taken at most this often. */
	handshakeIntervalMs: 20,
	/** Handshake messages that wait; from an eighth of it on the device counts as under load. */
	handshakeQueue: 1024,
	underLoadQueue: 128,
	/** Once under load, for this long. */
	underLoadMs: 1_000,
	/** Per source address and under load: initiations a second, and at once. */
	initiationsPerSecond: 20,
	initiationBurst: 5,
	/** Source addresses remembered for that; beyond it new ones wait for old ones to be forgotten. */
	rateLimitedAddresses: 4096,
	/** Inner packets that wait for a session, per peer. The oldest go first. */
	stagedPackets: 128,
	stagedBytes: 512 * 1024,
	/** The wall clock ran this much further than the monotonic one: the machine slept, or its clock was set. */
	sleepNoticeMs: 15_000,
	/** Flows that rules remember, both directions together. */
	flows: 16_384,
	tcpFlowMs: 2 * 3_600_000,
	otherFlowMs: 180_000,
} as const;

export const keyBytes = 32;
export const tagBytes = 16;
export const transportHeaderBytes = 16;
/** Of a data message: header and tag. */
export const transportOverheadBytes = transportHeaderBytes + tagBytes;
export const paddingBytes = 16;
