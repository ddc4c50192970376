import type { Identity } from "@warren/kernel";
import { userOf } from "../documents/documents-list.ts";
import type { RoomAccess, RoomPermit } from "../documents/room-access.ts";
import { discoveryRoomId, stampState, type UrlClaim } from "./device-state.ts";

/** Each user's own room of presence: one for all would show everybody's addresses to everybody. */
export function discoveryRoomOf(userId: string): string {
	return `${discoveryRoomId}/${userId}`;
}

export interface DiscoveryAccessDeps {
	/** Everything but discovery. */
	readonly documents: RoomAccess;
	/** Which URLs this session may advertise; any of the right form unless told. */
	readonly claimOf?: (identity: Identity) => UrlClaim;
}

/** Puts discovery before the documents: the same socket path, another kind of room. */
export class DiscoveryAccess implements RoomAccess {
	readonly #deps: DiscoveryAccessDeps;

	constructor(deps: DiscoveryAccessDeps) {
		this.#deps = deps;
	}

	revisionOf(id: string): number {
		return this.#deps.documents.revisionOf(id);
	}

	async permit(identity: Identity | null, id: string): Promise<RoomPermit> {
		if (id !== discoveryRoomId) return this.#deps.documents.permit(identity, id);
		const userId = userOf(identity);
		const claim = identity === null ? undefined : this.#deps.claimOf?.(identity);
		const device = identity?.kind === "user" ? identity.deviceId : undefined;
		const stamp = {
			userId,
			claim: claim ?? (() => null),
			...(device === undefined ? {} : { sessionDevice: device }),
		};
		return {
			room: discoveryRoomOf(userId),
			access: "read-only",
			keepsUpdates: false,
			stamp: (state) => stampState(state, stamp),
		};
	}
}
