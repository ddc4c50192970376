import type { Closeable } from "@warren/kernel";
import type { Bus } from "@warren/store";

/** What changed, so that every node forgets what it remembers of it. */
export type Change =
	/** `ends`: what runs on its behalf must stop, at one service or at all; null = nothing. */
	| { readonly of: "principal"; readonly id: string; readonly ends: { readonly service: string | null } | null }
	| { readonly of: "service"; readonly name: string }
	| { readonly of: "token"; readonly id: string };

const subject = "backbone.changed";

/** The news of one backbone's nodes, over the bus. */
export class Changes {
	readonly #bus: Bus;

	constructor(bus: Bus) {
		this.#bus = bus;
	}

	tell(change: Change): void {
		this.#bus.publish(subject, Buffer.from(JSON.stringify(change)));
	}

	hear(listener: (change: Change) => void): Closeable {
		return this.#bus.subscribe(subject, ({ data }) =>
			listener(JSON.parse(Buffer.from(data).toString("utf8")) as Change),
		);
	}
}
