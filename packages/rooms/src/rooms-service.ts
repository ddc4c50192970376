import type { FederatedIncoming, FederationClient, OutboxEntry, OutboxOutcome } from "@warren/kernel";
import { Inbox } from "./inbox.ts";
import { Messages } from "./messages.ts";
import { Outbox } from "./outbox.ts";
import { Rooms, type RoomsDeps } from "./rooms.ts";
import { Webhooks } from "./webhooks.ts";

/** Rooms as a whole: what people do through the API, and what a link to a gateway sends and brings. */
export class RoomsService implements FederationClient {
	readonly rooms: Rooms;
	readonly messages: Messages;
	readonly webhooks: Webhooks;
	readonly outbox: Outbox;
	readonly #inbox: Inbox;
	readonly #deps: RoomsDeps;

	constructor(deps: RoomsDeps) {
		this.#deps = deps;
		this.rooms = new Rooms(deps);
		this.outbox = new Outbox(deps);
		this.messages = new Messages(deps, this.rooms, this.outbox);
		this.webhooks = new Webhooks(deps, this.rooms, this.messages);
		this.#inbox = new Inbox(deps, this.rooms);
	}

	pending(after: number, limit: number): readonly OutboxEntry[] {
		return this.outbox.pending(after, limit);
	}

	settle(seq: number, outcome: OutboxOutcome): void {
		this.outbox.settle(seq, outcome);
	}

	receive(message: FederatedIncoming): void {
		this.#inbox.receive(message);
	}

	get waiting(): number {
		return this.outbox.waiting;
	}

	names(): { readonly wanted: readonly string[]; readonly shown: readonly string[] } {
		const names = this.rooms.federatedNames();
		return { wanted: names, shown: names };
	}

	/** Members of the rooms that others see. */
	participants(): readonly { readonly id: string; readonly name: string; readonly type: string }[] {
		return this.#deps.statements
			.all<{ member: string; name: string }>(
				"SELECT member, max(name) AS name FROM rooms_members WHERE room_id IN (SELECT id FROM rooms_rooms WHERE federated = 1 AND visibility = 'public') GROUP BY member ORDER BY member LIMIT 200",
			)
			.map((row) => ({ id: row.member, name: row.name, type: "human" }));
	}

	onChange(watcher: () => void): () => void {
		const stops = [this.outbox.watch(watcher), this.rooms.watch(watcher)];
		return () => {
			for (const stop of stops) stop();
		};
	}
}
