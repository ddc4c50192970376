import type { Clock, Logger } from "@warren/kernel";
import { describeIdentity } from "@warren/kernel";
import { openObjectTables } from "@warren/store";
import {
	DiscoveryAccess,
	DocumentHistory,
	discoveryRoomId,
	InlineDocuments,
	memberFor,
	type RoomPermit,
	SqliteUpdateLog,
	SyncRelay,
	syncLogSchema,
} from "@warren/sync";
import type { MemberOptions } from "@warren/sync/protocol";
import type { DurableStorage } from "../platform.ts";
import type { Admission } from "./admission.ts";

/** What an object with 128 MiB of memory serves, and what its storage takes in one value (2 MB). */
const edgeLimits = {
	maxRoomBytes: 32 * 1024 * 1024,
	maxMessageBytes: 16 * 1024 * 1024,
	maxUncommittedBytes: 32 * 1024 * 1024,
	maxRoomSockets: 1_000,
} as const;
const maxValueBytes = 1024 * 1024;
/** Each look wakes a room that sleeps. */
const expiryCheckMs = 10 * 60_000;

export interface OpenRoom {
	readonly relay: SyncRelay;
	readonly history: DocumentHistory;
}

/** The relay of one document over its object's storage: the same as a Node hub's, with one room in it. */
export async function openRoom(storage: DurableStorage, clock: Clock, logger: Logger): Promise<OpenRoom> {
	const { statements } = await openObjectTables(storage, [syncLogSchema], "of this document");
	const log = new SqliteUpdateLog(statements, clock, { maxValueBytes });
	const relay = new SyncRelay(
		{ log, documents: new InlineDocuments(), clock, logger },
		{ limits: edgeLimits, expiryCheckMs },
	);
	return { relay, history: new DocumentHistory(relay, () => clock.now()) };
}

/** Discovery's stamp is made here: a function does not travel. */
export async function memberOf(admission: Admission, acknowledges: boolean): Promise<MemberOptions> {
	const { identity, room, access, keepsUpdates } = admission;
	const permit: RoomPermit = keepsUpdates
		? { room, access, keepsUpdates }
		: await discovery.permit(identity, discoveryRoomId);
	return memberFor(describeIdentity(identity), permit, acknowledges);
}

const discovery = new DiscoveryAccess({
	documents: { revisionOf: () => 0, permit: () => Promise.reject(new Error("a document's permit comes with it")) },
});
