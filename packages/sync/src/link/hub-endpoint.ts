import type { DialOptions } from "@warren/net";

/** The hub, as a link reaches it. */
export interface HubEndpoint {
	/** `https://hub.example`; documents are at `/rooms/{id}/sync` below it. */
	readonly url: string;
	/** The session's token, asked for at each try. Null: nobody is signed in. */
	readonly token: () => Promise<string | null>;
	readonly dial?: Pick<DialOptions, "tls">;
}

export const linkLimits = {
	firstRetryMs: 500,
	maxRetryMs: 60_000,
	/** A link that lasted so long has proven itself: its next drop starts the waits over. */
	provenMs: 30_000,
	/** What may wait for the hub: a whole document, once. */
	maxBufferedBytes: 256 * 1024 * 1024,
	/** Awareness clients of everybody at the hub. */
	maxClients: 2_000,
} as const;
