import type { Closeable } from "@warren/kernel";
import type { Bus } from "@warren/store";
import type { AccessNews } from "./revoked.ts";

const subject = "accounts.revoked";

/** Tells everybody who must know that access was lost or changed, in this process and, through the bus, in the hub's others. */
export class RevokedFeed implements Closeable {
	readonly #bus: Bus | undefined;
	readonly #subscription: Closeable | undefined;
	readonly #watchers = new Set<(news: AccessNews) => void>();

	constructor(bus: Bus | undefined) {
		this.#bus = bus;
		this.#subscription = bus?.subscribe(subject, ({ data }) => this.#tell(JSON.parse(Buffer.from(data).toString())));
	}

	/** Synchronous here; telling someone twice does no harm. */
	publish(news: AccessNews): void {
		this.#tell(news);
		this.#bus?.publish(subject, Buffer.from(JSON.stringify(news)));
	}

	watch(watcher: (news: AccessNews) => void): Closeable {
		this.#watchers.add(watcher);
		return { close: () => void this.#watchers.delete(watcher) };
	}

	close(): void {
		void this.#subscription?.close();
		this.#watchers.clear();
	}

	#tell(news: AccessNews): void {
		for (const watcher of this.#watchers) watcher(news);
	}
}
