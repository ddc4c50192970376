import { type Clock, type Closeable, type Logger, messageOf, type Timer } from "@warren/kernel";
import type { SyncRelay } from "../relay/sync-relay.ts";
import type { DocumentsList } from "./documents-list.ts";

/** The list's `updatedAt` follows the content by this much at most, so that typing does not write a row a key. */
const writeAfterMs = 5_000;

/** Keeps the list in order of what was worked on last. */
export class LastChanged implements Closeable {
	readonly #documents: Pick<DocumentsList, "touch">;
	readonly #clock: Clock;
	readonly #logger: Logger;
	readonly #waiting = new Map<string, Timer>();
	readonly #unwatch: () => void;

	constructor(
		relay: SyncRelay,
		documents: Pick<DocumentsList, "touch">,
		deps: { readonly clock: Clock; readonly logger: Logger },
	) {
		this.#documents = documents;
		this.#clock = deps.clock;
		this.#logger = deps.logger;
		this.#unwatch = relay.watchCommits((room) => this.#changed(room));
	}

	close(): void {
		this.#unwatch();
		for (const timer of this.#waiting.values()) timer.cancel();
		this.#waiting.clear();
	}

	#changed(room: string): void {
		if (this.#waiting.has(room)) return;
		const timer = this.#clock.after(writeAfterMs, () => {
			this.#waiting.delete(room);
			this.#documents.touch(room).catch((fault: unknown) => {
				this.#logger.warn("a document's time of change was not written", { document: room, fault: messageOf(fault) });
			});
		});
		this.#waiting.set(room, timer);
	}
}
