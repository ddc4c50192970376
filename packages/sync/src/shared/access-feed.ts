import {
	type Clock,
	type Closeable,
	closeCodes,
	type Logger,
	messageOf,
	newId,
	type Random,
	type Timer,
} from "@warren/kernel";
import type { Bus } from "@warren/store";
import type { DocumentAccess, DocumentsList } from "../documents/documents-list.ts";
import type { Attendance, SyncRelay } from "../relay/sync-relay.ts";
import { closeAfterAccessChange } from "../routes/share-routes.ts";

export interface AccessFeedDeps {
	readonly bus: Bus;
	readonly relay: SyncRelay;
	readonly documents: DocumentsList;
	readonly clock: Clock;
	readonly random: Random;
	readonly logger: Logger;
}

const subject = "sync.access";
/** While nothing is heard, the tables are asked this often. */
const askEveryMs = 500;

interface AccessChange {
	readonly from: string;
	readonly document: string;
	readonly user: string;
	readonly access: DocumentAccess | null;
}

/** Whoever loses a document loses it at every instance: told over the bus, and looked up while the bus is away. */
export class AccessFeed implements Closeable {
	readonly #deps: AccessFeedDeps;
	readonly #id: string;
	readonly #owned: Closeable[];
	#timer: Timer | undefined;
	#closed = false;

	constructor(deps: AccessFeedDeps) {
		this.#deps = deps;
		this.#id = newId(deps.random);
		this.#owned = [
			deps.bus.subscribe(subject, ({ data }) => this.#heard(JSON.parse(Buffer.from(data).toString()) as AccessChange)),
			deps.bus.onResumed(() => void this.#look()),
		];
		this.#arm();
	}

	/** For `DocumentsListDeps.onAccessChanged`: here and elsewhere. */
	changed(document: string, user: string, access: DocumentAccess | null): void {
		closeAfterAccessChange(this.#deps.relay, document, user, access);
		const change: AccessChange = { from: this.#id, document, user, access };
		this.#deps.bus.publish(subject, Buffer.from(JSON.stringify(change)));
	}

	close(): void {
		this.#closed = true;
		this.#timer?.cancel();
		for (const each of this.#owned) void each.close();
	}

	#heard(change: AccessChange): void {
		if (change.from === this.#id) return;
		this.#deps.documents.changedElsewhere(change.document);
		closeAfterAccessChange(this.#deps.relay, change.document, change.user, change.access);
	}

	#arm(): void {
		this.#timer = this.#deps.clock.after(askEveryMs, () => {
			if (this.#deps.bus.connected) return this.#arm();
			void this.#look().finally(() => {
				if (!this.#closed) this.#arm();
			});
		});
	}

	/** What is open, against what the tables say. */
	async #look(): Promise<void> {
		const { relay, documents, logger } = this.#deps;
		documents.changedElsewhere(null);
		const rooms = relay.attendedDocuments();
		try {
			const rights = await documents.rightsTo(rooms);
			const changed = (attendance: Attendance): boolean => {
				if (attendance.identity?.kind !== "user" || !rooms.includes(attendance.room)) return false;
				const access = rights.get(attendance.room)?.get(attendance.identity.userId);
				return access === undefined || (access === "read-only") !== (attendance.access === "read-only");
			};
			// They come back, and are told what they may do now.
			relay.disconnect(changed, closeCodes.unavailable, "access_changed", "your access has changed");
		} catch (fault) {
			logger.warn("who may see which document was not looked up", { fault: messageOf(fault) });
		}
	}
}
