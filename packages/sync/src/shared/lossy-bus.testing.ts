import type { Closeable } from "@warren/kernel";
import type { Bus, BusMessage } from "@warren/store";

/** One instance's way to a shared bus, which a test can cut. */
export class LossyBus implements Bus {
	readonly #inner: Bus;
	readonly #resumed = new Set<() => void>();
	/** What of the messages gets lost, both ways. */
	loses: (subject: string) => boolean = () => false;
	connected = true;

	constructor(inner: Bus) {
		this.#inner = inner;
	}

	publish(subject: string, data: Uint8Array): void {
		if (this.connected && !this.loses(subject)) this.#inner.publish(subject, data);
	}

	subscribe(subject: string, receive: (message: BusMessage) => void, options?: { readonly group?: string }): Closeable {
		const hear = (message: BusMessage) => {
			if (this.connected && !this.loses(message.subject)) receive(message);
		};
		return this.#inner.subscribe(subject, hear, options);
	}

	settled(): Promise<void> {
		return this.#inner.settled();
	}

	onResumed(watcher: () => void): Closeable {
		this.#resumed.add(watcher);
		return { close: () => void this.#resumed.delete(watcher) };
	}

	cut(): void {
		this.connected = false;
	}

	resume(): void {
		this.connected = true;
		for (const watcher of [...this.#resumed]) watcher();
	}

	close(): void {}
}
