import { dataHeaders, type Route } from "@warren/net";
import { z } from "zod";
import { parseKey } from "../addresses.ts";
import { overlayError } from "../errors.ts";
import { maxRelayFrameBytes } from "../protocol/relay-frames.ts";
import type { LivePeer } from "./live-peer.ts";
import { relayLimits } from "./relay.ts";
import { type CoordinatorRouteDeps, callerOf, memberOf, owner } from "./route-deps.ts";

/** What a registered peer is told and carried: the stream, the signed roster, the relay. */
export function rosterRoutes(deps: CoordinatorRouteDeps): Route[] {
	const { registry, streams, relay } = deps;
	return [
		{
			owner,
			method: "GET",
			path: "/v1/mesh/peers/stream",
			about: {
				summary: "The roster as it changes, as an event stream",
				query: streamQuery,
				answers: {
					200: "text/event-stream: peer_added, peer_updated, peer_removed, error, holepunch_initiate, relay_wake; with deltas=1 also peer_patched, snapshot_begin, snapshot_end, roster_resumed",
					401: "unknown peer",
				},
			},
			credentials: memberOf(deps),
			stream: (context, incoming, outgoing) => {
				const peerId = context.query.get("peer_id") ?? "";
				let viewer: LivePeer;
				try {
					viewer = registry.owned(peerId, callerOf(deps, context));
				} catch (refused) {
					// Fails closed, and as the original does: no roster without a registered viewer.
					if ((refused as { code?: string }).code !== "unknown_peer") throw refused;
					throw overlayError("unknown_viewer", `No peer "${peerId.slice(0, 64)}" is registered.`);
				}
				const after = incoming.headers["last-event-id"];
				streams.open(
					viewer.entry.peerId,
					context.query.get("deltas") === "1",
					typeof after === "string" ? after : null,
					outgoing,
				);
			},
		},
		{
			owner,
			method: "GET",
			path: "/v1/mesh/roster",
			about: { summary: "The roster, signed", query: rosterQuery },
			credentials: memberOf(deps),
			handle: (context) => {
				const peer = registry.owned(context.query.get("peer_id") ?? "", callerOf(deps, context));
				const { peerId, ula } = peer.entry;
				return Response.json((deps.signer ?? unsigned).sign(peerId, ula, registry.roster.rosterOf(peerId)), {
					headers: dataHeaders,
				});
			},
		},
		{
			owner,
			method: "WS",
			path: "/v1/mesh/relay",
			about: { summary: "Datagrams to peers that no direct path reaches", query: relayQuery },
			credentials: memberOf(deps),
			open: (context, upgrade) => {
				const lane = context.query.get("lane") ?? "hi";
				const key = parseKey((context.query.get("pubkey") ?? "").replaceAll(" ", "+"));
				const peer = key === null ? undefined : registry.ofKey(key);
				if (key === null || (lane !== "hi" && lane !== "lo"))
					throw overlayError("bad_key", "The relay needs pubkey=KEY (base64url) and lane=hi or lane=lo.");
				if (peer === undefined) throw overlayError("unknown_viewer", "The relay is for registered peers.");
				registry.owned(peer.entry.peerId, callerOf(deps, context));
				relay.attach(
					peer,
					lane,
					upgrade.accept({
						flush: "tick",
						maxMessageBytes: maxRelayFrameBytes,
						maxBufferedBytes: relayLimits.maxBufferedBytes * 4,
					}),
				);
			},
		},
	];
}

/** As the address carries them, for the API's description. */
const rosterQuery = z.object({ peer_id: z.string() });
const streamQuery = z.object({ peer_id: z.string(), deltas: z.enum(["1"]).optional() });
const relayQuery = z.object({ pubkey: z.string().describe("base64url"), lane: z.enum(["hi", "lo"]).default("hi") });

const unsigned = {
	sign: (peer_id: string, ula: string, peers: string) => ({
		roster: JSON.stringify({ peer_id, ula, peers: JSON.parse(peers) as unknown }),
		signature: null,
		certificate: null,
	}),
};
