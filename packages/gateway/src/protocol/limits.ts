/** Every bound of the protocol; a gateway's operator may set those of `GatewayLimits` otherwise. */
export const gatewayLimits = {
	/** Of a payload, as JSON in UTF-8. */
	payloadBytes: 10_240,
	/** Relays and broadcasts of one mesh. */
	messagesPerMinute: 60,
	/** Changes of rooms, participants, interest and access. */
	changesPerMinute: 30,
	discoveriesPerMinute: 30,
	/** Of one mesh: each is told to everybody, with its rooms and participants. */
	loginsPerMinute: 30,
	/** Of one WebSocket message; above it the socket closes 1009. */
	maxMessageBytes: 64 * 1024,
	authMs: 10_000,
	/** Of a client that has not signed in. */
	maxUnauthenticatedMessages: 5,
	maxHeldMessages: 32,
	maxHeldBytes: 64 * 1024,
	/** Malformed messages a minute; one more closes. */
	maxFaultsPerMinute: 9,
	maxIdLength: 64,
	maxMeshIdLength: 64,
	maxNameLength: 80,
	maxSecretLength: 256,
	maxRooms: 500,
	maxRoomNameLength: 100,
	maxParticipants: 200,
	maxAccessEntries: 1_000,
	maxFeatures: 16,
	/** Unacknowledged on their way to one mesh. */
	maxInflight: 256,
	maxInflightBytes: 1024 * 1024,
	ackMs: 10_000,
	/** Rows that are read from a queue at a time. */
	loadBatch: 64,
	maxQueuedMessages: 1_000,
	maxQueuedBytes: 4 * 1024 * 1024,
	/** What one sender may fill of another's queue. */
	maxQueueShare: 0.25,
	ttlMs: 24 * 3_600_000,
	maxTtlMs: 7 * 24 * 3_600_000,
	/** Ids that are remembered, and for how long. */
	maxRememberedIds: 100_000,
	rememberMs: 3_600_000,
	/** Joins, leaves and participants are told together. */
	presenceMs: 100,
	maxDiscovered: 5_000,
	/** When to come back after a drain, at least. */
	drainRetryMs: 2_000,
	/** How long whoever finds a queue full should wait. */
	queueRetryMs: 30_000,
	/** How long whoever finds the disk refusing should wait. */
	storeRetryMs: 5_000,
} as const;

export type GatewayLimits = { readonly [K in keyof typeof gatewayLimits]: number };

export const clientLimits = {
	/** Sent and without a receipt. */
	maxInflight: 64,
	pingMs: 20_000,
	pongMs: 10_000,
	authMs: 15_000,
	/** What was kept is acknowledged together: after so long, or so many. */
	ackMs: 20,
	maxUntold: 32,
	/** To a gateway without features. */
	plainPerMinute: 60,
	maxMessageBytes: 4 * 1024 * 1024,
	/** A connection that lasted this long starts the waits anew. */
	settledMs: 10_000,
	firstRetryMs: 500,
	maxRetryMs: 60_000,
} as const;
