import type { Closeable } from "@warren/kernel";
import type { Bus } from "@warren/store";
import type { Revoked } from "./revoked.ts";

const subject = "accounts.revoked";

/** Tells everybody who must know that access was lost, in this process and, through the bus, in the hub's others. */
export class RevokedFeed implements Closeable {
	readonly #bus: Bus | undefined;
	readonly #subscription: Closeable | undefined;
	readonly #watchers = new Set<(revoked: Revoked) => void>();

	constructor(bus: Bus | undefined) {
		this.#bus = bus;
		this.#subscription = bus?.subscribe(subject, ({ data }) => this.#tell(JSON.parse(Buffer.from(data).toString())));
	}

	/** Synchronous here; telling someone twice does no harm. */
	publish(revoked: Revoked): void {
		this.#tell(revoked);
		this.#bus?.publish(subject, Buffer.from(JSON.stringify(revoked)));
	}

	watch(watcher: (revoked: Revoked) => void): Closeable {
		this.#watchers.add(watcher);
		return { close: () => void this.#watchers.delete(watcher) };
	}

	close(): void {
		void this.#subscription?.close();
		this.#watchers.clear();
	}

	#tell(revoked: Revoked): void {
		for (const watcher of this.#watchers) watcher(revoked);
	}
}
