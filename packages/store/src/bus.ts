import type { Closeable } from "@warren/kernel";

/** Messages between parts, at most once, in order per sender and subject. Subjects are dotted words: `node.devices.revoked`. */
export interface Bus extends Closeable {
	publish(subject: string, data: Uint8Array): void;
	/**
	 * @param subject exact, or ending in `.>` for everything below.
	 * @param options.group members of one group share the messages: each goes to one of them.
	 */
	subscribe(subject: string, receive: (message: BusMessage) => void, options?: { readonly group?: string }): Closeable;
}

export interface BusMessage {
	readonly subject: string;
	readonly data: Uint8Array;
}
