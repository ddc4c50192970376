import type { Audit, CredentialKind } from "@warren/kernel";
import { describeIdentity, parseRequest } from "@warren/kernel";
import { dataHeaders, type Metrics, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import { parseKey } from "../addresses.ts";
import { overlayError } from "../errors.ts";
import type { OverlayPeerId } from "../protocol/peer-record.ts";
import { policyLimits } from "../protocol/policy.ts";
import { maxRelayFrameBytes } from "../protocol/relay-frames.ts";
import { bodyLimits, deregisterBody, heartbeatBody, punchBody, registerBody } from "./bodies.ts";
import type { CoordinatorCredentials } from "./credentials.ts";
import type { JoinAuthority } from "./join-authority.ts";
import { coordinatorLimits } from "./limits.ts";
import type { Caller, LivePeer } from "./live-peer.ts";
import { observedEndpoint } from "./peer-endpoints.ts";
import type { PolicyDesk } from "./policy-desk.ts";
import type { Punches } from "./punches.ts";
import type { Registry } from "./registry.ts";
import { type Relay, relayLimits } from "./relay.ts";
import type { RosterSigner } from "./roster-signer.ts";
import type { Streams } from "./streams.ts";

export interface CoordinatorRouteDeps {
	readonly registry: Registry;
	readonly streams: Streams;
	readonly punches: Punches;
	readonly relay: Relay;
	readonly policy: PolicyDesk;
	readonly credentials: CoordinatorCredentials;
	/** Null = certificates alone admit. */
	readonly joinTokens: JoinAuthority | null;
	readonly signer: RosterSigner | null;
	readonly audit: Audit;
	readonly metrics: Metrics;
	readonly health: () => object;
	/** No certificates: loopback development. */
	readonly insecure: boolean;
	readonly stunPorts: () => readonly number[];
	/** Another after each start: a joiner that sees it change waits for the others to come back as well. */
	readonly run: string;
	/** What was done until now outlives this process. */
	readonly settled: () => Promise<void>;
}

const owner = "coordinator";

/** The original's control plane, literally, and what is added to it: docs/overlay.md. */
export function coordinatorRoutes(deps: CoordinatorRouteDeps): Route[] {
	const { registry, streams, punches, relay, policy } = deps;
	const member: readonly CredentialKind[] = deps.insecure ? ["none"] : ["node"];
	const admin: readonly CredentialKind[] = ["admin"];
	const callerOf = (context: RequestContext): Caller => {
		const certificate = deps.credentials.factsOf(context.identity);
		if (certificate === null && !deps.insecure)
			throw overlayError("not_your_peer", "This needs a machine's certificate.");
		return { certificate, remoteAddress: context.remoteAddress };
	};
	const record = (context: RequestContext, action: string, target: string) =>
		deps.audit.record({
			actor: context.identity === null ? "anonymous" : describeIdentity(context.identity),
			action,
			target,
			outcome: "ok",
			address: context.remoteAddress,
		});
	const observed = (peer: LivePeer, caller: Caller) => {
		const endpoint = observedEndpoint({ observedIp: caller.remoteAddress, wgListenPort: peer.wgListenPort });
		return {
			observed_ip: caller.remoteAddress,
			...(endpoint === null ? {} : { observed_endpoint: endpoint }),
			stun_ports: deps.stunPorts(),
			run: deps.run,
		};
	};
	/** The peers are bytes already: they go in as they are. */
	const withPeers = (peers: string, rest: object): Response =>
		new Response(`{"peers":${peers},${JSON.stringify(rest).slice(1)}`, {
			headers: { ...dataHeaders, "content-type": "application/json" },
		});

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
			credentials: member,
			maxBodyBytes: bodyLimits.maxBodyBytes,
			handle: async (context) => {
				const body = await context.json(registerBody);
				const caller = callerOf(context);
				const claims = await claimsOf(deps, body, context, caller);
				const peer = registry.register(body, claims, caller);
				const { peerId, ula, network, tags } = peer.entry;
				streams.changed();
				await deps.settled();
				record(context, "overlay.register", peerId);
				return withPeers(registry.roster.rosterOf(peerId), {
					peer_id: peerId,
					ula,
					network,
					tags,
					position: registry.roster.position,
					...observed(peer, caller),
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
			credentials: member,
			maxBodyBytes: bodyLimits.maxBodyBytes,
			handle: async (context) => {
				const body = await context.json(heartbeatBody);
				const caller = callerOf(context);
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
					...observed(peer, caller),
					...(commands.length === 0 ? {} : { pending_commands: commands }),
				});
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/mesh/deregister",
			about: { summary: "Leave", body: deregisterBody },
			credentials: member,
			handle: async (context) => {
				const body = await context.json(deregisterBody);
				registry.deregister(body.peer_id, callerOf(context));
				relay.sweep();
				streams.changed();
				await deps.settled();
				record(context, "overlay.deregister", body.peer_id);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/mesh/punch",
			about: { summary: "Have both sides send at once", body: punchBody },
			credentials: member,
			handle: async (context) => {
				const body = await context.json(punchBody);
				const peer = registry.owned(body.peer_id, callerOf(context));
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
			credentials: member,
			stream: (context, incoming, outgoing) => {
				const peerId = context.query.get("peer_id") ?? "";
				let viewer: LivePeer;
				try {
					viewer = registry.owned(peerId, callerOf(context));
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
			credentials: member,
			handle: (context) => {
				const peer = registry.owned(context.query.get("peer_id") ?? "", callerOf(context));
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
			credentials: member,
			open: (context, upgrade) => {
				const lane = context.query.get("lane") ?? "hi";
				const key = parseKey((context.query.get("pubkey") ?? "").replaceAll(" ", "+"));
				const peer = key === null ? undefined : registry.ofKey(key);
				if (key === null || (lane !== "hi" && lane !== "lo"))
					throw overlayError("bad_key", "The relay needs pubkey=KEY (base64url) and lane=hi or lane=lo.");
				if (peer === undefined) throw overlayError("unknown_viewer", "The relay is for registered peers.");
				registry.owned(peer.entry.peerId, callerOf(context));
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
		{
			owner,
			method: "GET",
			path: "/v1/mesh/peers",
			about: { summary: "All peers" },
			credentials: admin,
			handle: () =>
				Response.json(
					{
						peers: [...registry.peers()].map(({ record: each }) => each),
						removed: registry
							.removed()
							.map((each) => ({ peer_id: each.peerId, ula: each.ula, wg_public_key: each.key, tags: each.tags })),
					},
					{ headers: dataHeaders },
				),
		},
		{
			owner,
			method: "GET",
			path: "/v1/mesh/topology",
			about: { summary: "All peers with their paths" },
			credentials: admin,
			handle: () =>
				Response.json(
					{
						peers: [...registry.peers()].map((each) => ({
							...each.record,
							observed_ip: each.observedIp,
							paths: [...each.paths].map(([peer_id, path]) => ({
								peer_id,
								direct: path.direct,
								last_rx_age_ms: path.lastRxAgeMs,
							})),
						})),
						streams: streams.size,
						relay: { lanes: relay.size, forwarded: relay.forwarded, dropped: relay.dropped },
					},
					{ headers: dataHeaders },
				),
		},
		{
			owner,
			method: "DELETE",
			path: "/v1/mesh/peers/:peer",
			about: { summary: "Remove a peer for good" },
			credentials: admin,
			handle: async (context) => {
				const peerId = context.params["peer"] ?? "";
				const gone = registry.removeForGood(peerId);
				relay.sweep();
				streams.changed();
				if (gone === null && !registry.removed().some((each) => each.peerId === peerId))
					throw overlayError("unknown_peer", `There is no peer "${peerId.slice(0, 64)}".`, {
						fix: "List them with GET /v1/mesh/peers.",
					});
				await deps.settled();
				record(context, "overlay.remove", peerId);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/mesh/peers/:peer/readmit",
			about: { summary: "Let a removed peer in again" },
			credentials: admin,
			handle: async (context) => {
				const peerId = context.params["peer"] ?? "";
				if (!registry.readmit(peerId))
					throw overlayError("unknown_peer", `"${peerId.slice(0, 64)}" is not among the removed peers.`, {
						fix: "List them with GET /v1/mesh/peers.",
					});
				await deps.settled();
				record(context, "overlay.readmit", peerId);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
		{
			owner,
			method: "GET",
			path: "/v1/policy",
			about: { summary: "The policy", answers: { 200: "the policy, with its ETag" } },
			credentials: admin,
			handle: () =>
				new Response(policy.text, {
					headers: { ...dataHeaders, "content-type": "application/json", etag: policy.etag },
				}),
		},
		{
			owner,
			method: "PUT",
			path: "/v1/policy",
			about: {
				summary: "Replace the policy",
				answers: { 200: "replaced", 412: "stale", 422: "bad rule, or a failing test", 428: "If-Match is missing" },
			},
			credentials: admin,
			maxBodyBytes: policyLimits.maxBytes + 1024,
			handle: async (context) => {
				policy.replace(await context.request.text(), context.headers["if-match"]);
				streams.changed();
				relay.sweep();
				await deps.settled();
				record(context, "overlay.policy", policy.etag);
				return new Response(policy.text, {
					headers: { ...dataHeaders, "content-type": "application/json", etag: policy.etag },
				});
			},
		},
		{
			owner,
			method: "POST",
			path: "/v1/policy/preview",
			about: { summary: "What a policy would change" },
			credentials: admin,
			maxBodyBytes: policyLimits.maxBytes + 1024,
			handle: async (context) =>
				Response.json(
					policy.preview(
						await context.request.text(),
						[...registry.peers()].map((each) => each.record),
					),
					{ headers: dataHeaders },
				),
		},
		{
			owner,
			method: "GET",
			path: "/v1/policy/explain",
			about: {
				summary: "Whether one peer may reach another, and by which rule",
				query: explainQuery,
				answers: { 200: "allowed, visible, rule, reason", 404: "unknown" },
			},
			credentials: admin,
			handle: (context) => {
				const query = explainQuery.safeParse(Object.fromEntries(context.query));
				if (!query.success)
					throw overlayError(
						"bad_peer",
						"explain needs from=PEER and to=PEER, and takes port=N and proto=tcp|udp|icmp.",
					);
				const { from, to, proto, port } = query.data;
				return Response.json(policy.explain(named(registry, from), named(registry, to), proto, port ?? null), {
					headers: dataHeaders,
				});
			},
		},
		{
			owner,
			method: "GET",
			path: "/v1/audit",
			credentials: admin,
			about: { summary: "Who did what", query: auditQuery },
			handle: async (context) => {
				const { limit, before, actor } = parseRequest(auditQuery, Object.fromEntries(context.query));
				const records = await deps.audit.list({
					// Other roles may write into the same table.
					role: "coordinator",
					limit,
					...(before === undefined ? {} : { before }),
					...(actor === undefined ? {} : { actor }),
				});
				return Response.json({ records }, { headers: dataHeaders });
			},
		},
		{
			owner,
			method: "GET",
			path: "/api/health",
			about: { summary: "Health, with its conditions" },
			credentials: member,
			handle: () => Response.json(deps.health(), { headers: dataHeaders }),
		},
		{
			owner,
			method: "GET",
			path: "/metrics",
			about: { summary: "Metrics for Prometheus" },
			credentials: member,
			handle: async () =>
				new Response(await deps.metrics.text(), {
					headers: { ...dataHeaders, "content-type": deps.metrics.registry.contentType },
				}),
		},
	];
}

/** As the address carries them, for the API's description. */
const rosterQuery = z.object({ peer_id: z.string() });
const streamQuery = z.object({ peer_id: z.string(), deltas: z.enum(["1"]).optional() });
const relayQuery = z.object({ pubkey: z.string().describe("base64url"), lane: z.enum(["hi", "lo"]).default("hi") });

const auditQuery = z.object({
	limit: z.coerce.number().pipe(z.int().min(1).max(500)).default(100),
	before: z.coerce.number().pipe(z.int().min(1)).optional(),
	actor: z.string().max(200).optional(),
});
const explainQuery = z.object({
	from: z.string().min(1).max(80),
	to: z.string().min(1).max(80),
	proto: z.enum(["tcp", "udp", "icmp"]).default("tcp"),
	port: z.coerce.number().int().min(0).max(65535).optional(),
});

const unsigned = {
	sign: (peer_id: string, ula: string, peers: string) => ({
		roster: JSON.stringify({ peer_id, ula, peers: JSON.parse(peers) as unknown }),
		signature: null,
		certificate: null,
	}),
};

/** A token counts before all else; a key that was admitted with this certificate needs none again. */
async function claimsOf(
	deps: CoordinatorRouteDeps,
	body: z.infer<typeof registerBody>,
	context: RequestContext,
	caller: Caller,
) {
	if (deps.joinTokens === null || body.parent != null) return null;
	const key = parseKey(body.wg_public_key);
	if (key === null)
		throw overlayError("bad_key", `wg_public_key is not a WireGuard key: "${body.wg_public_key.slice(0, 64)}".`);
	const bearer = deps.insecure ? /^Bearer\s+(\S+)\s*$/i.exec(context.headers.authorization ?? "")?.[1] : undefined;
	const token = (body.join_token ?? bearer ?? "").trim();
	if (token === "") {
		if (deps.registry.known(body.wg_public_key, caller) !== null) return null;
		throw overlayError("bad_token", "This overlay needs a join token, and the request has none.");
	}
	const claims = await deps.joinTokens.validate(token, key);
	if (claims !== null) return claims;
	// A machine that was admitted goes on after its token has ended.
	if (deps.registry.known(body.wg_public_key, caller) !== null) return null;
	throw overlayError("bad_token", "The join token is not valid, or no longer.");
}

/** By id, name or address. */
function named(registry: Registry, text: string) {
	for (const { record } of registry.peers())
		if (record.peer_id === text || record.display_name === text || record.ula === text) return record;
	throw overlayError("unknown_peer", `There is no peer "${text}".`, {
		fix: "List them with: warren coordinator peers",
	});
}
