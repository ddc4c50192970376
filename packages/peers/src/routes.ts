import {
	type Audit,
	type Clock,
	type CredentialKind,
	describeIdentity,
	type Lifetime,
	type Logger,
	type PeerId,
} from "@warren/kernel";
import { dataHeaders, parseFingerprint, type RequestContext, type Route } from "@warren/net";
import { z } from "zod";
import type { PeerDirectory, PeerRow } from "./directory.ts";
import { peerError } from "./errors.ts";
import type { PathKind } from "./path.ts";
import type { Pins } from "./pins.ts";
import { HttpRelay } from "./relay/http-relay.ts";
import { PathWatch } from "./relay/path-watch.ts";
import type { PeerPools } from "./relay/pools.ts";
import { WebSocketRelay } from "./relay/websocket-relay.ts";

export interface PeerRouteDeps {
	readonly directory: PeerDirectory;
	readonly pins: Pins;
	readonly pools: PeerPools;
	readonly clock: Clock;
	readonly logger: Logger;
	/** What it leaves running ends with this. */
	readonly lifetime: Lifetime;
	readonly audit: Audit;
	readonly credentials: readonly CredentialKind[];
	/** How this node describes itself in the list. */
	readonly self: () => {
		readonly name: string;
		readonly version: string;
		readonly host: string;
		readonly port: number;
	};
	/** Port of a peer that was added without one. */
	readonly defaultPort: number;
	readonly onChange: () => void;
}

const peerBody = z.object({
	host: z.string().min(1).max(253),
	port: z.int().min(1).max(65535).optional(),
	name: z.string().trim().min(1).max(80).optional(),
});
const pinBody = z.object({ fingerprint: z.string() });

export interface PeerRoutes {
	readonly routes: Route[];
	/** For `status`: how each peer that has answered is reached, and the WebSockets that the relay has open to it. */
	readonly paths: () => { readonly name: string; readonly path: PathKind; readonly connections: number }[];
}

/** The list of peers, their pins, and the relay: docs/api-node.md. */
export function peerRoutes(deps: PeerRouteDeps): PeerRoutes {
	const { directory, pins, pools, credentials } = deps;
	const http = new HttpRelay(directory, pools);
	const webSocket = new WebSocketRelay(directory, deps.clock);
	const facts = { owner: "node", credentials } as const;
	const { clock, logger, onChange } = deps;
	const forget = (id: PeerId) => pools.drop(id);
	deps.lifetime.own(PathWatch.start({ clock, logger, directory, sockets: webSocket, forget, onChange }));
	const shown = (row: PeerRow): PeerRow => {
		const connections: Partial<Record<PathKind, number>> = {};
		for (const path of webSocket.pathsOf(row.id)) {
			const kind = directory.kindOf(path);
			connections[kind] = (connections[kind] ?? 0) + 1;
		}
		return Object.keys(connections).length === 0 ? row : { ...row, connections };
	};
	const drop = async (id: PeerId) => {
		webSocket.drop(id);
		await pools.drop(id);
	};
	const done = (context: RequestContext, action: string, target: string) => {
		deps.audit.record({
			actor: context.identity === null ? "anonymous" : describeIdentity(context.identity),
			action,
			target,
			outcome: "ok",
			address: context.remoteAddress,
		});
		deps.onChange();
	};
	const routes: Route[] = [
		{
			...facts,
			method: "GET",
			path: "/api/peers",
			about: { summary: "Peers, how they are and by which path they are reached" },
			handle: async () => {
				const { peers, errors } = await directory.list();
				return Response.json({ peers: peers.map(shown), errors, self: deps.self() }, { headers: dataHeaders });
			},
		},
		{
			...facts,
			method: "POST",
			path: "/api/peers",
			about: { summary: "Add a peer by its address", body: peerBody },
			handle: async (context) => {
				const { host, port, name } = await context.json(peerBody);
				const row = await directory.add(host, port ?? deps.defaultPort, name);
				done(context, "peer.add", row.id);
				return Response.json(row, { status: 201, headers: dataHeaders });
			},
		},
		{
			...facts,
			method: "DELETE",
			path: "/api/peers/:peer",
			about: { summary: "Remove a peer that was added by hand" },
			handle: async (context) => {
				const peer = await directory.get(context.params["peer"] ?? "");
				await directory.remove(peer.id);
				await drop(peer.id);
				done(context, "peer.remove", peer.id);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
		{
			...facts,
			method: "POST",
			path: "/api/peers/:peer/probe",
			about: { summary: "Look at a peer now" },
			handle: async (context) =>
				Response.json(shown(await directory.row(await directory.get(context.params["peer"] ?? ""), true)), {
					headers: dataHeaders,
				}),
		},
		{
			...facts,
			method: "DELETE",
			path: "/api/peers/:peer/pin",
			about: { summary: "Forget a peer's certificate" },
			handle: async (context) => {
				const peer = await directory.get(context.params["peer"] ?? "");
				await pins.forget(peer.address);
				await drop(peer.id);
				done(context, "peer.pin.forget", peer.id);
				return new Response(null, { status: 204, headers: dataHeaders });
			},
		},
		{
			...facts,
			method: "PUT",
			path: "/api/peers/:peer/pin",
			about: { summary: "Trust another certificate of a peer", body: pinBody },
			handle: async (context) => {
				const peer = await directory.get(context.params["peer"] ?? "");
				const { fingerprint } = await context.json(pinBody);
				const parsed = parseFingerprint(fingerprint);
				if (parsed === null)
					throw peerError("bad_request", "A fingerprint is a SHA-256: 64 hexadecimal digits, with or without colons.");
				const pin = await pins.trust(peer.address, parsed);
				await drop(peer.id);
				done(context, "peer.pin.trust", peer.id);
				return Response.json({ pin }, { headers: dataHeaders });
			},
		},
		{
			...facts,
			method: "ALL",
			path: "/r/:peer/api/*",
			about: { summary: "The same path of a peer, passed on" },
			stream: (context, incoming, outgoing) => http.relay(context, incoming, outgoing),
		},
		{
			...facts,
			method: "WS",
			path: "/r/:peer/ws/*",
			about: { summary: "The same WebSocket of a peer, passed on" },
			open: (context, upgrade) => webSocket.open(context, upgrade),
		},
	];
	return {
		routes,
		paths: () =>
			directory.reached().map(({ id, name, path }) => ({ name, path, connections: webSocket.pathsOf(id).length })),
	};
}
