import { type Clock, type EventSink, newId, type Random } from "@warren/kernel";
import type { Statements } from "@warren/store";
import { roomError } from "./errors.ts";
import { roomLimits as limits } from "./limits.ts";
import {
	type Member,
	type Message,
	type MessageRow,
	messageOf,
	type Room,
	type RoomRow,
	type RoomView,
	roomOf,
	type Speaker,
} from "./room.ts";

export interface RoomsDeps {
	readonly statements: Statements;
	readonly clock: Clock;
	readonly random: Random;
	readonly events: EventSink;
}

/** Rooms, their members and what each has read. Local first: nothing here waits for a network. */
export class Rooms {
	readonly #deps: RoomsDeps;
	readonly #watchers = new Set<() => void>();

	constructor(deps: RoomsDeps) {
		this.#deps = deps;
	}

	/** Public ones, and private ones that this speaker is a member of; the last spoken in first. */
	list(speaker: Speaker): RoomView[] {
		const rows = this.#deps.statements.all<RoomRow>(
			"SELECT * FROM rooms_rooms WHERE visibility = 'public' OR id IN (SELECT room_id FROM rooms_members WHERE member = ?)",
			speaker.member,
		);
		return rows
			.map((row) => this.#view(row, speaker))
			.sort((a, b) => (b.last?.createdAt ?? b.createdAt) - (a.last?.createdAt ?? a.createdAt));
	}

	/** @throws WarrenError `unknown_room`: also for private rooms of others. */
	get(id: string, speaker: Speaker): RoomView {
		return this.#view(this.row(id, speaker), speaker);
	}

	/** @throws WarrenError `room_exists`, `private_federation`, `too_many`. */
	create(wanted: Pick<Room, "name" | "visibility" | "federated">, speaker: Speaker): RoomView {
		const { statements, clock, random } = this.#deps;
		assertFederable(wanted);
		const id = newId(random);
		statements.transaction(() => {
			const [count] = statements.all<{ count: number }>("SELECT count(*) AS count FROM rooms_rooms");
			if ((count?.count ?? 0) >= limits.maxRooms)
				throw roomError("too_many", `There are ${limits.maxRooms} rooms already.`);
			this.#assertFree(wanted.name, "");
			statements.run(
				"INSERT INTO rooms_rooms (id, name, visibility, federated, created_by, created_at) VALUES (?, ?, ?, ?, ?, ?)",
				id,
				wanted.name,
				wanted.visibility,
				wanted.federated ? 1 : 0,
				speaker.member,
				clock.now(),
			);
			this.#addMember(id, speaker.member, speaker.name);
		});
		this.#changed(id);
		return this.get(id, speaker);
	}

	/** Name, visibility and federation are its maker's and the owner's. */
	change(
		id: string,
		wanted: { readonly [K in "name" | "visibility" | "federated"]?: Room[K] | undefined },
		speaker: Speaker,
	): RoomView {
		const { statements } = this.#deps;
		const row = this.#ownRow(id, speaker);
		const next = {
			name: wanted.name ?? row.name,
			visibility: wanted.visibility ?? row.visibility,
			federated: wanted.federated ?? row.federated === 1,
		};
		assertFederable(next);
		statements.transaction(() => {
			this.#assertFree(next.name, id);
			statements.run(
				"UPDATE rooms_rooms SET name = ?, visibility = ?, federated = ? WHERE id = ?",
				next.name,
				next.visibility,
				next.federated ? 1 : 0,
				id,
			);
			if (row.federated === 1 && !next.federated) this.#callBack(row);
		});
		this.#changed(id);
		return this.get(id, speaker);
	}

	delete(id: string, speaker: Speaker): void {
		const row = this.#ownRow(id, speaker);
		this.#deps.statements.transaction(() => {
			this.#callBack(row);
			this.#deps.statements.run("DELETE FROM rooms_rooms WHERE id = ?", id);
		});
		this.#changed(id);
	}

	join(id: string, speaker: Speaker): RoomView {
		this.row(id, speaker);
		this.#deps.statements.transaction(() => this.#addMember(id, speaker.member, speaker.name));
		this.#changed(id);
		return this.get(id, speaker);
	}

	leave(id: string, speaker: Speaker): void {
		this.row(id, speaker);
		this.#deps.statements.run("DELETE FROM rooms_members WHERE room_id = ? AND member = ?", id, speaker.member);
		this.#changed(id);
	}

	members(id: string, speaker: Speaker): Member[] {
		this.row(id, speaker);
		return this.#deps.statements
			.all<{ member: string; name: string; joined_at: number }>(
				"SELECT member, name, joined_at FROM rooms_members WHERE room_id = ? ORDER BY joined_at",
				id,
			)
			.map((row) => ({ member: row.member, name: row.name, joinedAt: row.joined_at }));
	}

	/** A private room's maker lets others in. */
	addMember(id: string, member: { readonly member: string; readonly name: string }, speaker: Speaker): void {
		this.#ownRow(id, speaker);
		this.#deps.statements.transaction(() => this.#addMember(id, member.member, member.name));
		this.#changed(id);
	}

	removeMember(id: string, member: string, speaker: Speaker): void {
		this.#ownRow(id, speaker);
		const gone = this.#deps.statements.run("DELETE FROM rooms_members WHERE room_id = ? AND member = ?", id, member);
		if (gone === 0) throw roomError("unknown_member", `"${member.slice(0, 80)}" is no member of this room.`);
		this.#changed(id);
	}

	/** Never goes back: another device of the same person may have read further. */
	read(id: string, seq: number, speaker: Speaker): void {
		this.row(id, speaker);
		const changed = this.#deps.statements.run(
			"UPDATE rooms_members SET read_seq = min(?, (SELECT coalesce(max(seq), 0) FROM rooms_messages WHERE room_id = rooms_members.room_id)) WHERE room_id = ? AND member = ? AND read_seq < ?",
			seq,
			id,
			speaker.member,
			seq,
		);
		if (changed > 0) this.#deps.events.publish({ type: "rooms" });
	}

	/** @throws WarrenError `unknown_room`. */
	row(id: string, speaker: Speaker | null): RoomRow {
		const row = this.#deps.statements.all<RoomRow>("SELECT * FROM rooms_rooms WHERE id = ?", id)[0];
		if (row === undefined || (speaker !== null && row.visibility === "private" && !this.isMember(id, speaker.member)))
			throw roomError("unknown_room", `There is no room "${id.slice(0, 40)}".`);
		return row;
	}

	isMember(id: string, member: string): boolean {
		return (
			this.#deps.statements.all("SELECT 1 FROM rooms_members WHERE room_id = ? AND member = ?", id, member).length > 0
		);
	}

	/** The federated room of a name. */
	federated(name: string): RoomRow | null {
		return (
			this.#deps.statements.all<RoomRow>(
				"SELECT * FROM rooms_rooms WHERE name = ? AND federated = 1 AND visibility = 'public'",
				name,
			)[0] ?? null
		);
	}

	federatedNames(): string[] {
		return this.#deps.statements
			.all<{ name: string }>("SELECT name FROM rooms_rooms WHERE federated = 1 AND visibility = 'public' ORDER BY name")
			.map((row) => row.name);
	}

	/** Rooms came, went or changed. Returns its own removal. */
	watch(watcher: () => void): () => void {
		this.#watchers.add(watcher);
		return () => this.#watchers.delete(watcher);
	}

	/** What has not left yet stays here. */
	#callBack(row: RoomRow): void {
		this.#deps.statements.run("DELETE FROM rooms_outbox WHERE room = ?", row.name);
		this.#deps.statements.run(
			"UPDATE rooms_messages SET delivery = NULL WHERE room_id = ? AND delivery = 'waiting'",
			row.id,
		);
	}

	#ownRow(id: string, speaker: Speaker): RoomRow {
		const row = this.row(id, speaker);
		if (row.created_by !== speaker.member && speaker.member !== "owner")
			throw roomError("not_yours", `Only whoever made "${row.name}" may do this.`);
		return row;
	}

	#addMember(id: string, member: string, name: string): void {
		const { statements, clock } = this.#deps;
		const [count] = statements.all<{ count: number }>(
			"SELECT count(*) AS count FROM rooms_members WHERE room_id = ?",
			id,
		);
		if ((count?.count ?? 0) >= limits.maxMembers)
			throw roomError("too_many", `This room has ${limits.maxMembers} members already.`);
		statements.run(
			"INSERT INTO rooms_members (room_id, member, name, joined_at, read_seq) VALUES (?, ?, ?, ?, (SELECT coalesce(max(seq), 0) FROM rooms_messages WHERE room_id = ?)) ON CONFLICT DO UPDATE SET name = excluded.name",
			id,
			member,
			name,
			clock.now(),
			id,
		);
	}

	#assertFree(name: string, except: string): void {
		const taken = this.#deps.statements.all("SELECT 1 FROM rooms_rooms WHERE name = ? AND id <> ?", name, except);
		if (taken.length > 0) throw roomError("room_exists", `There is a room "${name}" already.`);
	}

	#view(row: RoomRow, speaker: Speaker): RoomView {
		const { statements } = this.#deps;
		const [facts] = statements.all<{ members: number; read_seq: number | null }>(
			"SELECT count(*) AS members, max(CASE WHEN member = ? THEN read_seq END) AS read_seq FROM rooms_members WHERE room_id = ?",
			speaker.member,
			row.id,
		);
		const joined = facts?.read_seq != null;
		const [unread] = joined
			? statements.all<{ count: number }>(
					"SELECT count(*) AS count FROM rooms_messages WHERE room_id = ? AND seq > ? AND deleted_at IS NULL AND NOT (origin_mesh = '' AND sender_id = ?)",
					row.id,
					facts?.read_seq ?? 0,
					speaker.member,
				)
			: [];
		const last = statements.all<MessageRow>(
			"SELECT * FROM rooms_messages WHERE room_id = ? AND deleted_at IS NULL ORDER BY seq DESC LIMIT 1",
			row.id,
		)[0];
		return {
			...roomOf(row),
			joined,
			members: facts?.members ?? 0,
			unread: unread?.count ?? 0,
			last: last === undefined ? null : (messageOf(last, speaker) as Message),
		};
	}

	#changed(id: string): void {
		this.#deps.events.publish({ type: "rooms", room: id });
		for (const watcher of this.#watchers) watcher();
	}
}

function assertFederable(room: Pick<Room, "name" | "visibility" | "federated">): void {
	if (room.federated && room.visibility === "private")
		throw roomError("private_federation", `"${room.name}" is private: other warrens match rooms by name alone.`);
}
