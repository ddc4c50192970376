import { newId, type OutboxEntry, type OutboxOutcome } from "@warren/kernel";
import { roomError } from "./errors.ts";
import { roomLimits as limits } from "./limits.ts";
import type { MessageRow, RoomRow } from "./room.ts";
import type { RoomsDeps } from "./rooms.ts";

interface OutboxRow {
	readonly seq: number;
	readonly id: string;
	readonly room: string;
	readonly message_id: string;
	readonly payload: string;
}

/** What other warrens are still to get: on disk with the message itself, until the gateway has answered for it. */
export class Outbox {
	readonly #deps: RoomsDeps;
	readonly #watchers = new Set<() => void>();

	constructor(deps: RoomsDeps) {
		this.#deps = deps;
	}

	/** What the message is shown with: a full outbox keeps nobody from speaking on this machine. */
	get nextDelivery(): string {
		return this.waiting < limits.maxOutbox
			? "waiting"
			: `rejected: ${limits.maxOutbox} messages wait for the gateway already`;
	}

	/** Within the caller's transaction. @throws WarrenError `too_long`. */
	add(type: "new_message" | "edit_message" | "delete_message", room: RoomRow, row: MessageRow): void {
		const { statements, clock, random } = this.#deps;
		const payload = JSON.stringify(payloadOf(type, room, row));
		const bytes = Buffer.byteLength(payload);
		if (bytes > limits.maxFederatedBytes) {
			throw roomError(
				"too_long",
				`This message has ${bytes} bytes with its envelope, and other warrens take ${limits.maxFederatedBytes}.`,
			);
		}
		if (this.waiting >= limits.maxOutbox) return;
		statements.run(
			"INSERT INTO rooms_outbox (id, room, message_id, payload, created_at) VALUES (?, ?, ?, ?, ?)",
			newId(random),
			room.name,
			row.id,
			payload,
			clock.now(),
		);
	}

	get waiting(): number {
		const [count] = this.#deps.statements.all<{ count: number }>("SELECT count(*) AS count FROM rooms_outbox");
		return count?.count ?? 0;
	}

	pending(after: number, limit: number): OutboxEntry[] {
		return this.#deps.statements
			.all<OutboxRow>(
				"SELECT seq, id, room, message_id, payload FROM rooms_outbox WHERE seq > ? ORDER BY seq LIMIT ?",
				after,
				limit,
			)
			.map((row) => ({
				seq: row.seq,
				id: row.id,
				targetMeshId: null,
				room: row.room,
				payload: JSON.parse(row.payload) as Record<string, unknown>,
			}));
	}

	settle(seq: number, { outcome, detail }: OutboxOutcome): void {
		const { statements, events } = this.#deps;
		const messageId = statements.transaction(() => {
			const row = statements.all<OutboxRow>("SELECT * FROM rooms_outbox WHERE seq = ?", seq)[0];
			if (row === undefined) return null;
			statements.run("DELETE FROM rooms_outbox WHERE seq = ?", seq);
			// A later edit of the same message is still on its way: that one's outcome counts.
			statements.run(
				"UPDATE rooms_messages SET delivery = ? WHERE id = ? AND NOT EXISTS (SELECT 1 FROM rooms_outbox WHERE message_id = ?)",
				outcome === "rejected" ? `rejected: ${detail}` : outcome,
				row.message_id,
				row.message_id,
			);
			return row.message_id;
		});
		if (messageId === null) return;
		const [message] = statements.all<{ room_id: string; seq: number }>(
			"SELECT room_id, seq FROM rooms_messages WHERE id = ?",
			messageId,
		);
		if (message !== undefined) events.publish({ type: "room-messages", room: message.room_id, seq: message.seq });
	}

	wake(): void {
		for (const watcher of this.#watchers) watcher();
	}

	watch(watcher: () => void): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}
}

/** The original's fields, and `version`, `editedAt` beside them. */
function payloadOf(type: string, room: RoomRow, row: MessageRow): Record<string, unknown> {
	return {
		type,
		message: {
			id: row.id,
			roomId: room.id,
			senderId: row.sender_id,
			senderName: row.sender_name,
			content: row.content,
			isDm: false,
			createdAt: new Date(row.created_at).toISOString(),
			roomName: room.name,
			version: row.version,
			...(row.edited_at === null ? {} : { editedAt: new Date(row.edited_at).toISOString() }),
		},
	};
}
