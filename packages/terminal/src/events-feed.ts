import type { WebSocketConnection } from "@warren/net";
import { encodeFrame } from "@warren/net";

/** What `/ws/~events` says. Other parts of the node add theirs: `peers`, `health`. */
export type FeedEvent =
	| { readonly type: "sessions" | "peers" | "health" }
	| { readonly type: "windows"; readonly session: string }
	| { readonly type: "bell"; readonly session: string; readonly window: string }
	| {
			readonly type: "command-finished";
			readonly session: string;
			readonly window: string;
			readonly command: string;
			readonly durationMs: number;
	  };

export const feedLimits = {
	/** Bytes that wait for a slow reader: it fetches everything again after it was closed (1013). */
	maxBufferedBytes: 256 * 1024,
	/** Nothing but control frames is expected from the other side. */
	maxMessageBytes: 1024,
} as const;

/** Live events to every page that listens. Says that something changed; what it is now is fetched. */
export class EventsFeed {
	readonly #connections = new Map<WebSocketConnection, string>();

	/** @param owner `describeIdentity` of who listens. */
	add(connection: WebSocketConnection, owner: string): void {
		this.#connections.set(connection, owner);
		connection.onClose(() => this.#connections.delete(connection));
	}

	publish(event: FeedEvent): void {
		const frame = encodeFrame(JSON.stringify(event));
		for (const connection of this.#connections.keys()) connection.sendFrame(frame);
	}

	endOwner(owner: string, code: number, reason: string): void {
		for (const [connection, each] of this.#connections) if (each === owner) void connection.close(code, reason);
	}

	close(code: number, reason: string): void {
		for (const connection of this.#connections.keys()) void connection.close(code, reason);
	}
}
