export const roomLimits = {
	maxRooms: 500,
	maxNameLength: 80,
	maxContentLength: 4_000,
	/** Of a message's JSON, so that a gateway with the original's limit takes it. */
	maxFederatedBytes: 9_500,
	maxSenderLength: 80,
	maxMembers: 1_000,
	maxWebhooks: 50,
	maxPage: 200,
	maxSearchResults: 100,
	maxQueryLength: 200,
	/** What waits for the gateway. */
	maxOutbox: 10_000,
	/** Of one webhook. */
	webhookPerMinute: 60,
} as const;
