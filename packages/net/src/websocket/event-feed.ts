import { type CredentialKind, closeCodes, type EventSink, type LiveEvent } from "@warren/kernel";
import type { Route } from "../http/route.ts";
import type { WebSocketConnection } from "./connection.ts";
import { encodeFrame } from "./frame.ts";

export const feedLimits = {
	maxListeners: 1000,
	/** Bytes that wait for a slow reader: it fetches everything again after it was closed (1013). */
	maxBufferedBytes: 256 * 1024,
	/** Nothing but control frames is expected from the other side. */
	maxMessageBytes: 1024,
} as const;

/** Live events to every page that listens: one frame an event, built once for all. */
export class EventFeed implements EventSink {
	readonly #listeners = new Set<WebSocketConnection>();
	readonly #watchers = new Set<(event: LiveEvent) => void>();
	/** Equal events of one turn of the event loop are told once. */
	#queued = new Set<string>();

	publish(event: LiveEvent): void {
		for (const watcher of this.#watchers) watcher(event);
		if (this.#listeners.size === 0) return;
		if (this.#queued.size === 0) setImmediate(() => this.#flush());
		this.#queued.add(JSON.stringify(event));
	}

	/** In this process, also while no page listens. @returns what ends it. */
	watch(watcher: (event: LiveEvent) => void): () => void {
		this.#watchers.add(watcher);
		return () => void this.#watchers.delete(watcher);
	}

	/** `WS path`: JSON text frames, server to client. Revocation and draining are the listener's. */
	route(owner: string, path: string, credentials: readonly CredentialKind[]): Route {
		return {
			owner,
			method: "WS",
			path,
			credentials,
			about: { summary: "What changes, as it changes" },
			open: (_context, upgrade) => {
				const { maxBufferedBytes, maxMessageBytes } = feedLimits;
				const connection = upgrade.accept({ maxBufferedBytes, maxMessageBytes, flush: "tick" });
				if (this.#listeners.size >= feedLimits.maxListeners) {
					void connection.close(closeCodes.unavailable, "too many pages listen");
					return;
				}
				this.#listeners.add(connection);
				connection.onClose(() => this.#listeners.delete(connection));
			},
		};
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
