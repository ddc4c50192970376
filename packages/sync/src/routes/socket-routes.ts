import { closeCodes, type Identity } from "@warren/kernel";
import type { RequestContext, Route } from "@warren/net";
import type { RoomPermit } from "../documents/room-access.ts";
import { ackSubprotocol, type MemberOptions, muxSubprotocol, syncLimits } from "../protocol/index.ts";
import { serveMux } from "../relay/document-mux.ts";
import type { RelayRoom } from "../relay/relay-room.ts";
import { WebSocketSync } from "../relay/web-socket-sync.ts";
import { actor, type SyncRoutesDeps, type SyncRoutesOptions } from "./exchange.ts";

/** Awareness clients that a socket with acknowledgements may speak for: a link carries those of a whole sidecar. */
const linkClients = 64;

const acceptOptions = { maxMessageBytes: syncLimits.maxMessageBytes, flush: "tick" } as const;

/** The documents themselves: a socket each, or many on one. */
export function socketRoutes(deps: SyncRoutesDeps, options: SyncRoutesOptions): Route[] {
	return [
		{
			...options,
			method: "WS",
			path: "/rooms/:id/sync",
			about: { summary: "A live document, as the stock Yjs provider speaks" },
			open: async (context, upgrade) => {
				const { permit, room } = await enter(deps, context.identity, context.params["id"] ?? "");
				const connection = upgrade.accept({ ...acceptOptions, subprotocols: [ackSubprotocol] });
				const who = memberOf(context, permit, connection.protocol === ackSubprotocol);
				deps.relay.join(room, new WebSocketSync(connection), who, context.identity);
			},
		},
		{
			...options,
			method: "WS",
			path: "/rooms",
			about: { summary: "Many live documents on one socket (warren.sync-mux.v1)" },
			open: (context, upgrade) => {
				const connection = upgrade.accept({ ...acceptOptions, subprotocols: [muxSubprotocol] });
				const base = new WebSocketSync(connection);
				if (connection.protocol !== muxSubprotocol) {
					return base.close(closeCodes.badRequest, "bad_request", `this socket speaks ${muxSubprotocol}`);
				}
				serveMux(base, deps.relay.clock, async (id) => {
					const { permit, room } = await enter(deps, context.identity, id);
					return (socket) => {
						deps.relay.join(room, socket, memberOf(context, permit, true), context.identity);
					};
				});
			},
		},
	];
}

/** Permission and room, in one turn at the end: access that changed while the room was opening counts. */
async function enter(
	deps: SyncRoutesDeps,
	identity: Identity | null,
	id: string,
): Promise<{ permit: RoomPermit; room: RelayRoom }> {
	for (;;) {
		const revision = deps.access.revisionOf(id);
		const permit = await deps.access.permit(identity, id);
		const room = await deps.relay.open(permit.room, permit.keepsUpdates);
		if (deps.access.revisionOf(id) === revision) return { permit, room };
	}
}

function memberOf(context: RequestContext, permit: RoomPermit, acknowledges: boolean): MemberOptions {
	return memberFor(actor(context), permit, acknowledges);
}

/** @param owner `describeIdentity` of who comes. @param acknowledges it agreed on `warren.sync.v1`. */
export function memberFor(owner: string, { access, stamp }: RoomPermit, acknowledges: boolean): MemberOptions {
	return {
		owner,
		access,
		acknowledges,
		maxClients: acknowledges ? linkClients : 1,
		...(stamp === undefined ? {} : { stamp }),
	};
}
