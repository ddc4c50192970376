import { type FederatedIncoming, newId } from "@warren/kernel";
import { z } from "zod";
import { roomLimits as limits } from "./limits.ts";
import type { MessageRow, RoomRow } from "./room.ts";
import type { Rooms, RoomsDeps } from "./rooms.ts";
import { tidy, tidyLine } from "./text.ts";

/** How long ids of others are remembered: longer than any gateway keeps a message. */
const rememberMs = 14 * 24 * 3_600_000;

const incoming = z.object({
	type: z.enum(["new_message", "edit_message", "delete_message"]),
	message: z.object({
		id: z.string().min(1).max(128).optional(),
		senderId: z.string().max(200).optional(),
		senderName: z.string().max(500).optional(),
		content: z
			.string()
			.max(64 * 1024)
			.optional(),
		roomName: z.string().min(1).max(200),
		createdAt: z.union([z.string().max(40), z.number()]).optional(),
		version: z.int().min(1).max(1_000_000).optional(),
	}),
});
type Incoming = z.infer<typeof incoming>;

/** What other warrens say: judged as a stranger's text, once each, and never more than text. */
export class Inbox {
	readonly #deps: RoomsDeps;
	readonly #rooms: Rooms;
	#received = 0;

	constructor(deps: RoomsDeps, rooms: Rooms) {
		this.#deps = deps;
		this.#rooms = rooms;
	}

	/** On disk when it returns, or of no interest. @throws WarrenError `store_full` and the like. */
	receive(message: FederatedIncoming): void {
		const { statements, events, clock } = this.#deps;
		const parsed = incoming.safeParse(message.payload);
		if (!parsed.success) return;
		const changed = statements.transaction(() => {
			if (message.id !== null) {
				const fresh = statements.run(
					"INSERT INTO rooms_received (from_mesh, id, at) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
					message.fromMeshId,
					message.id,
					clock.now(),
				);
				if (fresh === 0) return null;
			}
			const room = this.#rooms.federated(parsed.data.message.roomName);
			return room === null ? null : this.#apply(room, parsed.data, message);
		});
		this.#received += 1;
		if (this.#received % 1000 === 0)
			statements.run("DELETE FROM rooms_received WHERE at < ?", clock.now() - rememberMs);
		if (changed !== null) events.publish({ type: "room-messages", room: changed.room_id, seq: changed.seq });
	}

	#apply(room: RoomRow, { type, message }: Incoming, from: FederatedIncoming): MessageRow | null {
		const { statements, clock, random } = this.#deps;
		const originId = message.id ?? `~${from.id ?? newId(random)}`;
		// The same id of the same mesh is the same message; a mesh reaches no message but its own.
		const before = statements.all<MessageRow>(
			"SELECT * FROM rooms_messages WHERE origin_mesh = ? AND origin_id = ?",
			from.fromMeshId,
			originId,
		)[0];
		const version = message.version ?? 1;
		const content = tidy(message.content ?? "", limits.maxContentLength);
		if (type === "new_message") {
			if (before !== undefined) return null;
			const id = newId(random);
			statements.run(
				"INSERT INTO rooms_messages (id, room_id, origin_mesh, origin_name, origin_id, sender_id, sender_name, sender_kind, content, created_at, version, signed_by) VALUES (?, ?, ?, ?, ?, ?, ?, 'federated', ?, ?, ?, ?)",
				id,
				room.id,
				from.fromMeshId,
				tidyLine(from.fromMeshName, limits.maxSenderLength),
				originId,
				`federated:${from.fromMeshId}:${tidyLine(message.senderId ?? "", limits.maxSenderLength)}`,
				tidyLine(message.senderName ?? "", limits.maxSenderLength) || "somebody",
				content,
				clock.now(),
				version,
				from.signedBy,
			);
			return statements.all<MessageRow>("SELECT * FROM rooms_messages WHERE id = ?", id)[0] ?? null;
		}
		if (before === undefined || before.room_id !== room.id || before.deleted_at !== null) return null;
		if (version <= before.version) return null;
		const now = clock.now();
		const deleted = type === "delete_message";
		statements.run(
			"UPDATE rooms_messages SET content = ?, edited_at = ?, deleted_at = ?, version = ?, signed_by = ? WHERE seq = ?",
			deleted ? "" : content,
			deleted ? before.edited_at : now,
			deleted ? now : null,
			version,
			from.signedBy,
			before.seq,
		);
		return before;
	}
}
