/** Who speaks and reads. The owner of a node is one member, whichever of their devices asks; people of the hub are each their own. */
export interface Speaker {
	/** `owner` or `user:ID`. */
	readonly member: string;
	/** As others see it. */
	readonly name: string;
	readonly kind: "person" | "webhook";
}

export interface Room {
	readonly id: string;
	/** Also what federation matches by. */
	readonly name: string;
	readonly visibility: "public" | "private";
	readonly federated: boolean;
	readonly createdBy: string;
	readonly createdAt: number;
}

export interface RoomView extends Room {
	readonly joined: boolean;
	readonly members: number;
	readonly unread: number;
	readonly last: Message | null;
}

export interface Message {
	readonly id: string;
	/** Grows within this machine: order, pages, read state. */
	readonly seq: number;
	readonly roomId: string;
	readonly sender: { readonly id: string; readonly name: string; readonly kind: string };
	/** Untrusted text where `from` is not null. Empty once deleted. */
	readonly content: string;
	readonly createdAt: number;
	readonly editedAt: number | null;
	readonly deletedAt: number | null;
	/** The warren that it came from, and whether its own key signed this; null = this machine. */
	readonly from: { readonly meshId: string; readonly name: string; readonly signed: boolean } | null;
	/** Of own messages in a federated room: on its way, or what became of it. */
	readonly delivery: string | null;
	/** Whether whoever asks may edit it. */
	readonly mine: boolean;
}

export interface Member {
	readonly member: string;
	readonly name: string;
	readonly joinedAt: number;
}

export interface RoomRow {
	readonly id: string;
	readonly name: string;
	readonly visibility: "public" | "private";
	readonly federated: number;
	readonly created_by: string;
	readonly created_at: number;
}

export interface MessageRow {
	readonly seq: number;
	readonly id: string;
	readonly room_id: string;
	readonly origin_mesh: string;
	readonly origin_name: string;
	readonly origin_id: string;
	readonly sender_id: string;
	readonly sender_name: string;
	readonly sender_kind: string;
	readonly content: string;
	readonly created_at: number;
	readonly edited_at: number | null;
	readonly deleted_at: number | null;
	readonly version: number;
	readonly delivery: string | null;
	readonly signed_by: string | null;
}

export function roomOf(row: RoomRow): Room {
	return {
		id: row.id,
		name: row.name,
		visibility: row.visibility,
		federated: row.federated === 1,
		createdBy: row.created_by,
		createdAt: row.created_at,
	};
}

export function messageOf(row: MessageRow, speaker: Speaker | null): Message {
	const own = row.origin_mesh === "";
	return {
		id: row.id,
		seq: row.seq,
		roomId: row.room_id,
		sender: { id: row.sender_id, name: row.sender_name, kind: row.sender_kind },
		content: row.content,
		createdAt: row.created_at,
		editedAt: row.edited_at,
		deletedAt: row.deleted_at,
		from: own ? null : { meshId: row.origin_mesh, name: row.origin_name, signed: row.signed_by !== null },
		delivery: row.delivery,
		mine: own && speaker !== null && row.sender_id === speaker.member && row.deleted_at === null,
	};
}
