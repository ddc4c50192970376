import type { Closeable } from "@warren/kernel";
import type { Bus } from "@warren/store";

/** What changed, so that every node forgets what it remembers of it. */
export type Change =
	| { readonly of: "principal"; readonly id: string }
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
