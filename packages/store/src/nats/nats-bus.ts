import { type Closeable, type Logger, messageOf } from "@warren/kernel";
import type { Bus, BusMessage } from "../bus.ts";
import type { Nats } from "./nats.ts";

/**
 * The bus over NATS, between processes. While the server is away messages are dropped, not kept: a queue of them would
 * have no bound, and whoever must not miss one looks at the tables (`onResumed`).
 */
export class NatsBus implements Bus {
	readonly #nats: Nats;
	readonly #logger: Logger;
	readonly #owned = new Set<Closeable>();

	/** @param logger hears of subscribers that throw. */
	constructor(nats: Nats, logger: Logger) {
		this.#nats = nats;
		this.#logger = logger;
	}

	get connected(): boolean {
		return this.#nats.connected;
	}

	publish(subject: string, data: Uint8Array): void {
		if (this.#nats.connected) this.#nats.connection.publish(this.#onWire(subject), data);
	}

	subscribe(
		subject: string,
		receive: (message: BusMessage) => void,
		options: { readonly group?: string } = {},
	): Closeable {
		if (this.#nats.connection.isClosed()) return { close() {} };
		const skip = this.#nats.prefix.length + 1;
		const subscription = this.#nats.connection.subscribe(this.#onWire(subject), {
			...(options.group === undefined ? {} : { queue: options.group }),
			callback: (fault, message) => {
				if (fault !== null) {
					this.#logger.error("a subscription failed", { subject, fault: messageOf(fault) });
					return;
				}
				try {
					receive({ subject: message.subject.slice(skip), data: message.data });
				} catch (thrown) {
					this.#logger.error("a subscriber failed", { subject: message.subject, fault: messageOf(thrown) });
				}
			},
		});
		const closeable = {
			close: () => {
				this.#owned.delete(closeable);
				subscription.unsubscribe();
			},
		};
		this.#owned.add(closeable);
		return closeable;
	}

	async settled(): Promise<void> {
		if (!this.#nats.connected) return;
		let waiting: Closeable | undefined;
		const lost = new Promise<void>((resolve) => {
			waiting = this.#nats.onLost(resolve);
		});
		await Promise.race([this.#nats.connection.flush().catch(() => {}), lost]);
		void waiting?.close();
	}

	onResumed(watcher: () => void): Closeable {
		const watching = this.#nats.onResumed(watcher);
		this.#owned.add(watching);
		return watching;
	}

	/** Ends what was subscribed here; the connection is its opener's. */
	close(): void {
		for (const each of [...this.#owned]) void each.close();
		this.#owned.clear();
	}

	#onWire(subject: string): string {
		return `${this.#nats.prefix}.${subject}`;
	}
}
