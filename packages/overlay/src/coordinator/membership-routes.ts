import { dataHeaders, type Route } from "@warren/net";
import { overlayError } from "../errors.ts";
import type { OverlayPeerId } from "../protocol/peer-record.ts";
import { bodyLimits, deregisterBody, heartbeatBody, punchBody, registerBody } from "./bodies.ts";
import { claimsOf } from "./join-claims.ts";
import { coordinatorLimits } from "./limits.ts";
import type { Caller, LivePeer } from "./live-peer.ts";
import { observedEndpoint } from "./peer-endpoints.ts";
import { type CoordinatorRouteDeps, callerOf, memberOf, owner, record } from "./route-deps.ts";

/** What a joiner says of itself: the original's routes, literally, and a punch when it asks for one. */
export function membershipRoutes(deps: CoordinatorRouteDeps): Route[] {
	const { registry, streams, punches, relay } = deps;
	return [
		{
			owner,
			method: "POST",
			path: "/v1/mesh/register",
			about: {
				summary: "Become a peer, or say again that one is",
				body: registerBody,
				answers: {
					200: "peer_id, ula, network, tags, position, peers, observed_ip, observed_endpoint, stun_ports, run",
					400: "bad key or ULA",
					401: "join token",
					403: "removed",
					409: "conflict",
					503: "exhausted",
				},
			},
			credentials: memberOf(deps),
			maxBodyBytes: bodyLimits.maxBodyBytes,
			handle: async (context) => {
				const body = await context.json(registerBody);
				const caller = callerOf(deps, context);
				const claims = await claimsOf(deps, body, context, caller);
				const peer = registry.register(body, claims, caller);
				const { peerId, ula, network, tags } = peer.entry;
				streams.changed();
				await deps.settled();
				record(deps, context, "overlay.register", peerId);
				return withPeers(registry.roster.rosterOf(peerId), {
					peer_id: peerId,
					ula,
					network,
					tags,
					position: registry.roster.position,
					...observed(deps, peer, caller),
				});
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/mesh/heartbeat",
			about: {
				summary: "Still here, reached so, with these paths",
				body: heartbeatBody,
				answers: {
					200: "peers, observed_ip, observed_endpoint, pending_commands",
					403: "another machine's peer",
					404: "register again",
				},
			},
			credentials: memberOf(deps),
			maxBodyBytes: bodyLimits.maxBodyBytes,
			handle: async (context) => {
				const body = await context.json(heartbeatBody);
				const caller = callerOf(deps, context);
				const peer = registry.heartbeat(body, caller);
				const { peerId } = peer.entry;
				for (const [otherId, path] of peer.paths) {
					const other = path.direct ? undefined : registry.ofId(otherId);
					if (other !== undefined && !other.record.relay_only && !peer.record.relay_only)
						punches.initiate(peer, other, coordinatorLimits.punchEveryMs);
				}
				streams.changed();
				const commands = punches.takeFor(peerId);
				return withPeers(body.follows_stream ? "[]" : registry.roster.rosterOf(peerId), {
					...observed(deps, peer, caller),
					...(commands.length === 0 ? {} : { pending_commands: commands }),
				});
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/mesh/deregister",
			about: { summary: "Leave", body: deregisterBody },
			credentials: memberOf(deps),
			handle: async (context) => {
				const body = await context.json(deregisterBody);
				registry.deregister(body.peer_id, callerOf(deps, context));
				relay.sweep();
				streams.changed();
				await deps.settled();
				record(deps, context, "overlay.deregister", body.peer_id);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/mesh/punch",
			about: { summary: "Have both sides send at once", body: punchBody },
			credentials: memberOf(deps),
			handle: async (context) => {
				const body = await context.json(punchBody);
				const peer = registry.owned(body.peer_id, callerOf(deps, context));
				const target = registry.roster.sees(peer.entry.peerId, body.target_peer_id as OverlayPeerId)
					? registry.ofId(body.target_peer_id)
					: undefined;
				// Unknown and unseen look the same.
				if (target === undefined) throw overlayError("unknown_peer", `No peer "${body.target_peer_id}" is registered.`);
				const initiated = punches.initiate(peer, target, coordinatorLimits.punchAskedEveryMs);
				streams.changed();
				return Response.json({ initiated }, { headers: dataHeaders });
			},
		},
	];
}

function observed(deps: CoordinatorRouteDeps, peer: LivePeer, caller: Caller) {
	const endpoint = observedEndpoint({ observedIp: caller.remoteAddress, wgListenPort: peer.wgListenPort });
	return {
		observed_ip: caller.remoteAddress,
		...(endpoint === null ? {} : { observed_endpoint: endpoint }),
		stun_ports: deps.stunPorts(),
		run: deps.run,
	};
}

/** The peers are bytes already: they go in as they are. */
function withPeers(peers: string, rest: object): Response {
	return new Response(`{"peers":${peers},${JSON.stringify(rest).slice(1)}`, {
		headers: { ...dataHeaders, "content-type": "application/json" },
	});
}
