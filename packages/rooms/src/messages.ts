import { newId } from "@warren/kernel";
import { roomError } from "./errors.ts";
import { roomLimits as limits } from "./limits.ts";
import type { Outbox } from "./outbox.ts";
import { type Message, type MessageRow, messageOf, type RoomRow, type Speaker } from "./room.ts";
import type { Rooms, RoomsDeps } from "./rooms.ts";
import { tidy } from "./text.ts";

export interface Page {
	/** Oldest first. */
	readonly messages: readonly Message[];
	/** There are older ones (or newer ones, where `after` was asked for). */
	readonly more: boolean;
}

/** What is said in rooms: written here at once, and put into the outbox in the same transaction where others are to have it. */
export class Messages {
	readonly #deps: RoomsDeps;
	readonly #rooms: Rooms;
	readonly #outbox: Outbox;

	constructor(deps: RoomsDeps, rooms: Rooms, outbox: Outbox) {
		this.#deps = deps;
		this.#rooms = rooms;
		this.#outbox = outbox;
	}

	/** @throws WarrenError `unknown_room`. */
	page(roomId: string, speaker: Speaker, options: { before?: number; after?: number; limit: number }): Page {
		this.#rooms.row(roomId, speaker);
		const { statements } = this.#deps;
		const limit = Math.min(options.limit, limits.maxPage);
		if (options.after !== undefined) {
			const rows = statements.all<MessageRow>(
				"SELECT * FROM rooms_messages WHERE room_id = ? AND seq > ? ORDER BY seq LIMIT ?",
				roomId,
				options.after,
				limit + 1,
			);
			return { messages: rows.slice(0, limit).map((row) => messageOf(row, speaker)), more: rows.length > limit };
		}
		const rows = statements.all<MessageRow>(
			"SELECT * FROM rooms_messages WHERE room_id = ? AND seq < ? ORDER BY seq DESC LIMIT ?",
			roomId,
			options.before ?? Number.MAX_SAFE_INTEGER,
			limit + 1,
		);
		const messages = rows
			.slice(0, limit)
			.reverse()
			.map((row) => messageOf(row, speaker));
		return { messages, more: rows.length > limit };
	}

	/**
	 * @param id made by the client, so that a send that is tried again is one message; made here when there is none.
	 * @throws WarrenError `unknown_room`, `not_a_member`.
	 */
	post(roomId: string, content: string, speaker: Speaker, id?: string): Message {
		const { statements, clock, random } = this.#deps;
		const room = this.#rooms.row(roomId, speaker.kind === "webhook" ? null : speaker);
		if (speaker.kind === "person" && !this.#rooms.isMember(roomId, speaker.member))
			throw roomError("not_a_member", `You have not joined "${room.name}".`);
		const messageId = id ?? newId(random);
		const row = statements.transaction(() => {
			const before = this.#row(messageId);
			if (before !== null) {
				// The same send again; anybody else's id is no way to their message.
				if (before.room_id === roomId && before.sender_id === speaker.member) return before;
				throw roomError("unknown_message", "This message id is taken.");
			}
			statements.run(
				"INSERT INTO rooms_messages (id, room_id, origin_mesh, origin_name, origin_id, sender_id, sender_name, sender_kind, content, created_at, version, delivery) VALUES (?, ?, '', '', ?, ?, ?, ?, ?, ?, 1, ?)",
				messageId,
				roomId,
				messageId,
				speaker.member,
				speaker.name,
				speaker.kind,
				tidy(content, limits.maxContentLength),
				clock.now(),
				room.federated === 1 ? this.#outbox.nextDelivery : null,
			);
			const written = this.#row(messageId) as MessageRow;
			if (room.federated === 1) this.#outbox.add("new_message", room, written);
			return written;
		});
		this.#said(room, row.seq);
		return messageOf(row, speaker);
	}

	/** @throws WarrenError `unknown_message`, `not_yours`. */
	edit(roomId: string, id: string, content: string, speaker: Speaker): Message {
		return this.#rewrite(roomId, id, speaker, "edit_message", tidy(content, limits.maxContentLength));
	}

	/** The row stays, without what it said. */
	delete(roomId: string, id: string, speaker: Speaker): Message {
		return this.#rewrite(roomId, id, speaker, "delete_message", null);
	}

	/** Best first. Words are taken as they are: no operators. */
	search(query: string, speaker: Speaker, roomId: string | null): Message[] {
		if (roomId !== null) this.#rooms.row(roomId, speaker);
		const words = query.slice(0, limits.maxQueryLength).match(/[\p{L}\p{N}_]+/gu) ?? [];
		if (words.length === 0) return [];
		const match = words.map((word) => `"${word}"*`).join(" ");
		return this.#deps.statements
			.all<MessageRow>(
				`SELECT m.* FROM rooms_search JOIN rooms_messages m ON m.seq = rooms_search.rowid JOIN rooms_rooms r ON r.id = m.room_id
				WHERE rooms_search MATCH ? AND m.deleted_at IS NULL AND (? = '' OR m.room_id = ?)
				AND (r.visibility = 'public' OR r.id IN (SELECT room_id FROM rooms_members WHERE member = ?))
				ORDER BY rank LIMIT ?`,
				match,
				roomId ?? "",
				roomId ?? "",
				speaker.member,
				limits.maxSearchResults,
			)
			.map((row) => messageOf(row, speaker));
	}

	#rewrite(
		roomId: string,
		id: string,
		speaker: Speaker,
		type: "edit_message" | "delete_message",
		content: string | null,
	): Message {
		const { statements, clock } = this.#deps;
		const room = this.#rooms.row(roomId, speaker);
		const row = statements.transaction(() => {
			const before = this.#row(id);
			if (before === null || before.room_id !== roomId || before.deleted_at !== null)
				throw roomError("unknown_message", `There is no message "${id.slice(0, 40)}" in this room.`);
			if (before.origin_mesh !== "" || before.sender_id !== speaker.member)
				throw roomError("not_yours", "This message is somebody else's.");
			const now = clock.now();
			statements.run(
				"UPDATE rooms_messages SET content = ?, edited_at = ?, deleted_at = ?, version = version + 1, delivery = ? WHERE id = ?",
				content ?? "",
				content === null ? before.edited_at : now,
				content === null ? now : null,
				room.federated === 1 ? this.#outbox.nextDelivery : before.delivery,
				id,
			);
			const written = this.#row(id) as MessageRow;
			if (room.federated === 1) this.#outbox.add(type, room, written);
			return written;
		});
		this.#said(room, row.seq);
		return messageOf(row, speaker);
	}

	#row(id: string): MessageRow | null {
		return this.#deps.statements.all<MessageRow>("SELECT * FROM rooms_messages WHERE id = ?", id)[0] ?? null;
	}

	#said(room: RoomRow, seq: number): void {
		this.#deps.events.publish({ type: "room-messages", room: room.id, seq });
		if (room.federated === 1) this.#outbox.wake();
	}
}
