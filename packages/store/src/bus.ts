import type { Closeable } from "@warren/kernel";

/** Messages between parts, at most once, in order per sender and subject. Subjects are dotted words: `node.devices.revoked`. */
export interface Bus extends Closeable {
	publish(subject: string, data: Uint8Array): void;
	/**
	 * @param subject exact, or ending in `.>` for everything below.
	 * @param options.group members of one group share the messages: each goes to one of them.
	 */
	subscribe(subject: string, receive: (message: BusMessage) => void, options?: { readonly group?: string }): Closeable;
	/** What was subscribed to before counts when this resolves, or the bus is away. Never rejects. */
	settled(): Promise<void>;
	/** False while messages go nowhere: whoever must not miss one looks at what they were about instead. */
	readonly connected: boolean;
	/** Called whenever messages may have been lost, once they arrive again. */
	onResumed(watcher: () => void): Closeable;
}

export interface BusMessage {
	readonly subject: string;
	readonly data: Uint8Array;
}
