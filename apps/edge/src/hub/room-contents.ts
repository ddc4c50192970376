import type { DocumentContents } from "@warren/sync";
import type { RoomStub } from "../platform.ts";
import { type ContentsMethod, valueOf } from "../rooms/room-calls.ts";

/** Documents' contents, each asked of its own object. */
export function roomContents(roomOf: (room: string) => RoomStub): DocumentContents {
	const call = async <T>(method: ContentsMethod, room: string, ...given: unknown[]) =>
		valueOf(await roomOf(room).contents({ method, given: [room, ...given] })) as T;
	return {
		facts: (room) => call("facts", room),
		drop: (room) => call("drop", room),
		checkpoints: (room) => call("checkpoints", room),
		checkpoint: (room, label) => call("checkpoint", room, label),
		checkpointUpdate: (room, id) => call("checkpointUpdate", room, id),
		restore: (room, id, actor) => call("restore", room, id, actor),
		update: (room) => call("update", room),
		json: (room) => call("json", room),
		hash: (room) => call("hash", room),
	};
}
