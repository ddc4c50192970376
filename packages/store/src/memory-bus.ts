import { type Closeable, type Logger, messageOf } from "@warren/kernel";
import type { Bus, BusMessage } from "./bus.ts";

interface Subscription {
	readonly pattern: string;
	readonly group: string | undefined;
	readonly receive: (message: BusMessage) => void;
}

/** The in-process implementation. Delivery is synchronous: a publisher sees the effects of what it said. */
export class MemoryBus implements Bus {
	readonly #subscriptions = new Set<Subscription>();
	/** Counts deliveries per group, for taking turns. */
	readonly #turns = new Map<string, number>();
	readonly #logger: Logger;

	/** @param logger hears of subscribers that throw: their fault is neither the publisher's nor the next one's. */
	constructor(logger: Logger) {
		this.#logger = logger;
	}

	publish(subject: string, data: Uint8Array): void {
		const groups = new Map<string, Subscription[]>();
		// A copy: who subscribes while a message is being given out gets the next one.
		const standing = [...this.#subscriptions];
		for (const subscription of standing) {
			if (!covers(subscription.pattern, subject)) continue;
			if (subscription.group === undefined) {
				this.#deliver(subscription, { subject, data });
				continue;
			}
			const members = groups.get(subscription.group) ?? [];
			members.push(subscription);
			groups.set(subscription.group, members);
		}
		for (const [group, members] of groups) {
			const turn = this.#turns.get(group) ?? 0;
			this.#turns.set(group, turn + 1);
			this.#deliver(members[turn % members.length] as Subscription, { subject, data });
		}
	}

	subscribe(
		subject: string,
		receive: (message: BusMessage) => void,
		options: { readonly group?: string } = {},
	): Closeable {
		const subscription = { pattern: subject, group: options.group, receive };
		this.#subscriptions.add(subscription);
		return { close: () => void this.#subscriptions.delete(subscription) };
	}

	get connected(): boolean {
		return true;
	}

	async settled(): Promise<void> {}

	/** Nothing is ever lost here. */
	onResumed(_watcher: () => void): Closeable {
		return { close() {} };
	}

	close(): void {
		this.#subscriptions.clear();
	}

	#deliver(subscription: Subscription, message: BusMessage): void {
		try {
			subscription.receive(message);
		} catch (fault) {
			this.#logger.error("a subscriber failed", { subject: message.subject, fault: messageOf(fault) });
		}
	}
}

function covers(pattern: string, subject: string): boolean {
	return pattern.endsWith(".>") ? subject.startsWith(pattern.slice(0, -1)) : pattern === subject;
}
