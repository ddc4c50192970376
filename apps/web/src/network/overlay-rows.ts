import type { CoordinatorPeer, JoinerPeer, NetworkView } from "./network-api.ts";
import { t } from "./text.ts";

/** How packets go between this machine and a peer. */
export type PathKind = "self" | "direct" | "relay" | "tunnel" | "away" | "unknown";

/** A peer of the overlay as map and table show it. */
export interface OverlayRow {
	readonly id: string;
	readonly name: string;
	readonly ula: string;
	readonly isSelf: boolean;
	/** A stock client behind a machine, by that machine's id. */
	readonly parent: string | undefined;
	readonly tags: readonly string[];
	readonly path: PathKind;
	readonly why: string;
	readonly rttMs: number | null;
	readonly lastHandshakeAt: number | null;
	readonly receivedBytes: number;
	readonly sentBytes: number;
	readonly version: string | undefined;
}

/** The status file is written every five seconds: after three of them the joiner does not run. */
export const joinerStaleMs = 15_000;

/**
 * This machine first, then the others by name, devices after the machine that they are behind.
 * @param tunnelled addresses of machines that this one reaches by their tunnels: no packet of the overlay gets there now.
 */
export function rowsOf(view: NetworkView, tunnelled: readonly string[] = []): OverlayRow[] {
	const { joiner, coordinator } = view;
	const tunnels = new Set(tunnelled.map(sameSpelling));
	const own = new Map(joiner?.peers.map((peer) => [peer.peer_id, peer]));
	const known = new Map(coordinator?.peers.map((peer) => [peer.peer_id, peer]));
	const me = joiner === null ? undefined : known.get(joiner.peer_id);
	const ids = new Set([...(joiner === null ? [] : [joiner.peer_id]), ...known.keys(), ...own.keys()]);
	const rows = [...ids].map((id): OverlayRow => {
		const [mine, theirs] = [own.get(id), known.get(id)];
		const isSelf = id === joiner?.peer_id;
		const ula = (isSelf ? joiner?.ula : undefined) ?? theirs?.ula ?? mine?.ula ?? "";
		const path = isSelf ? "self" : tunnels.has(sameSpelling(ula)) ? "tunnel" : pathOf(view, mine, theirs);
		return {
			id,
			name: (isSelf ? joiner?.name : undefined) ?? theirs?.display_name ?? mine?.display_name ?? id,
			ula,
			isSelf,
			parent: theirs?.parent,
			tags: theirs?.tags ?? [],
			path,
			why: whyOf(path, mine, theirs, me, joiner?.nat ?? null, known),
			rttMs: mine?.rtt_ms ?? null,
			lastHandshakeAt: mine?.last_handshake_at ?? null,
			receivedBytes: mine?.rx_bytes ?? 0,
			sentBytes: mine?.tx_bytes ?? 0,
			version: theirs?.software_version,
		};
	});
	const names = new Map(rows.map((row) => [row.id, row.name]));
	const rank = (row: OverlayRow) => `${names.get(row.parent ?? row.id) ?? ""}\n${row.parent === undefined ? 0 : 1}`;
	return rows.sort(
		(a, b) => Number(b.isSelf) - Number(a.isSelf) || compare(rank(a), rank(b)) || compare(a.name, b.name),
	);
}

/** The overlay spells addresses in full, the list of machines in short. */
function sameSpelling(ula: string): string {
	return URL.parse(`http://[${ula}]`)?.hostname ?? ula;
}

const compare = (a: string, b: string) => (a < b ? -1 : a > b ? 1 : 0);

function pathOf(view: NetworkView, mine: JoinerPeer | undefined, theirs: CoordinatorPeer | undefined): PathKind {
	if (theirs?.connectivity === "dead") return "away";
	if (view.joiner === null || mine === undefined) return "unknown";
	return mine.path === "direct" ? "direct" : "relay";
}

function whyOf(
	path: PathKind,
	mine: JoinerPeer | undefined,
	theirs: CoordinatorPeer | undefined,
	me: CoordinatorPeer | undefined,
	ownNat: string | null,
	known: ReadonlyMap<string, CoordinatorPeer>,
): string {
	const parent = theirs?.parent === undefined ? undefined : known.get(theirs.parent);
	switch (path) {
		case "self":
			return "";
		case "away":
			return t.why.away;
		case "unknown":
			return t.why.unknown;
		case "tunnel":
			return t.why.tunnel;
		case "direct":
			if (parent !== undefined) return t.why.behind(parent.display_name);
			return mine?.endpoint == null ? t.why.direct : t.why.directTo(endpointOf(mine.endpoint));
		case "relay":
			if (parent !== undefined) return t.why.behind(parent.display_name);
			if (theirs?.relay_only || me?.relay_only) return t.why.relayOnly;
			if (theirs?.nat === "hard" && ownNat === "hard") return t.why.hardNats;
			return t.why.noDirect;
	}
}

function endpointOf({ address, port }: { address: string; port: number }): string {
	return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}

/** What the map draws: who talks to whom, as either side tells it. */
export interface Edge {
	readonly from: string;
	readonly to: string;
	readonly path: "direct" | "relay" | "tunnel" | "behind";
}

export function edgesOf(view: NetworkView, rows: readonly OverlayRow[]): Edge[] {
	const edges = new Map<string, Edge>();
	const put = (a: string, b: string, path: Edge["path"]) => {
		const [from, to] = a < b ? [a, b] : [b, a];
		const key = `${from} ${to}`;
		// One side that receives directly is enough: the way is there.
		if (edges.get(key)?.path !== "direct") edges.set(key, { from, to, path });
	};
	const shown = new Set(rows.map((row) => row.id));
	for (const peer of view.coordinator?.peers ?? []) {
		if (peer.parent !== undefined) put(peer.parent, peer.peer_id, "behind");
		for (const path of peer.paths)
			if (shown.has(path.peer_id)) put(peer.peer_id, path.peer_id, path.direct ? "direct" : "relay");
	}
	const me = view.joiner?.peer_id;
	for (const row of rows)
		if (
			me !== undefined &&
			row.parent === undefined &&
			(row.path === "direct" || row.path === "relay" || row.path === "tunnel")
		)
			put(me, row.id, row.path);
	return [...edges.values()].filter(({ from, to }) => shown.has(from) && shown.has(to));
}
