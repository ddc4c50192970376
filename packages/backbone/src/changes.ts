import { randomUUID } from "node:crypto";
import type { Closeable } from "@warren/kernel";
import type { Bus } from "@warren/store";

/** What changed, so that every node forgets what it remembers of it. */
export type Change =
	/** `ends`: what runs on its behalf must stop, at one service or at all; null = nothing. */
	| { readonly of: "principal"; readonly id: string; readonly ends: { readonly service: string | null } | null }
	| { readonly of: "service"; readonly name: string }
	| { readonly of: "token"; readonly id: string }
	/** The keys of `x-mosb-jwt`. */
	| { readonly of: "keys" }
	/** One with a name that lasts came: an older process of that name goes, wherever it hangs. */
	| { readonly of: "agent"; readonly service: string; readonly name: string; readonly id: string };

const subject = "backbone.changed";

/** The news of one backbone's nodes, over the bus; at the node where it happened also while that is away. */
export class Changes {
	readonly #bus: Bus;
	readonly #here = new Set<(change: Change) => void>();
	/** Tells own news from the others'. */
	readonly #from = randomUUID();

	constructor(bus: Bus) {
		this.#bus = bus;
	}

	/** False while news of other nodes cannot come: what is remembered may be out of date. */
	get connected(): boolean {
		return this.#bus.connected;
	}

	/** News may have been lost, and comes again from now on. */
	onResumed(watcher: () => void): Closeable {
		return this.#bus.onResumed(watcher);
	}

	tell(change: Change): void {
		for (const listener of [...this.#here]) listener(change);
		this.#bus.publish(subject, Buffer.from(JSON.stringify({ from: this.#from, change })));
	}

	hear(listener: (change: Change) => void): Closeable {
		this.#here.add(listener);
		const subscribed = this.#bus.subscribe(subject, ({ data }) => {
			const { from, change } = JSON.parse(Buffer.from(data).toString("utf8")) as { from: string; change: Change };
			if (from !== this.#from) listener(change);
		});
		return {
			close: () => {
				this.#here.delete(listener);
				return subscribed.close();
			},
		};
	}
}
