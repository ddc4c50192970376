import { type Closeable, type CredentialKind, closeCodes } from "@warren/kernel";
import { encodeFrame, type Route, type WebSocketConnection } from "@warren/net";

/** What changed, so that nobody polls. Receivers fetch what they show; an event carries no data that needs a credential. */
export type NodeEvent =
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

const limits = { maxListeners: 1000, maxBufferedBytes: 256 * 1024, maxMessageBytes: 1024 } as const;

/** `WS /ws/~events`: one frame an event, built once for all listeners. */
export class EventFeed implements Closeable {
	readonly #listeners = new Set<WebSocketConnection>();
	/** Kinds without data, said at most once a turn of the event loop. */
	#queued = new Set<string>();
	#closed = false;

	publish(event: NodeEvent): void {
		if (this.#listeners.size === 0 || this.#closed) return;
		const key = JSON.stringify(event);
		if (this.#queued.size === 0) setImmediate(() => this.#flush());
		this.#queued.add(key);
	}

	routes(credentials: readonly CredentialKind[]): Route[] {
		return [
			{
				owner: "node",
				method: "WS",
				path: "/ws/~events",
				credentials,
				open: (_context, upgrade) => {
					const connection = upgrade.accept({
						maxMessageBytes: limits.maxMessageBytes,
						maxBufferedBytes: limits.maxBufferedBytes,
					});
					if (this.#listeners.size >= limits.maxListeners) {
						void connection.close(closeCodes.unavailable, "too many listeners");
						return;
					}
					this.#listeners.add(connection);
					connection.onClose(() => this.#listeners.delete(connection));
				},
			},
		];
	}

	close(): void {
		this.#closed = true;
		this.#queued.clear();
	}

	#flush(): void {
		const queued = this.#queued;
		this.#queued = new Set();
		for (const event of queued) {
			const frame = encodeFrame(event);
			for (const listener of this.#listeners) listener.sendFrame(frame);
		}
	}
}
