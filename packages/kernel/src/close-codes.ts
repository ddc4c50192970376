/**
 * WebSocket close codes that every role uses. 4400–4499 are permanent for that socket's credentials (the stock Yjs
 * client parks on them); the others mean: try again, with jitter.
 */
export const closeCodes = {
	/** Server is draining; reconnect elsewhere or later. */
	draining: 1012,
	/** The reader fell too far behind. */
	tooSlow: 1013,
	badRequest: 4400,
	signIn: 4401,
	forbidden: 4403,
	unknown: 4404,
	credentialsExpired: 4408,
	/** A newer login took this one's place: do not reconnect. */
	replaced: 4409,
	/** Away or overloaded. */
	unavailable: 4503,
} as const;

export type CloseCode = (typeof closeCodes)[keyof typeof closeCodes];

/** Whether a client must not reconnect with the same credentials. */
export function isPermanentClose(code: number): boolean {
	return code >= 4400 && code <= 4499;
}
