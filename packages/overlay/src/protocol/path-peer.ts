import { pathLimits } from "./path-limits.ts";
import { PathMtu } from "./path-mtu.ts";
import type { WireGuardKey } from "./peer-record.ts";
import type { Probe } from "./probe.ts";
import type { MappedAddress } from "./stun.ts";

export interface PathPeer {
	/** Where it may be, best first. */
	readonly candidates: readonly MappedAddress[];
	readonly relayOnly: boolean;
	/** It answers probes; others (stock WireGuard, the original's joiner) are sent to directly and by the relay. */
	readonly probes: boolean;
	readonly hardNat: boolean;
	/** A stock client behind this very host: it comes by itself, and no relay knows it. */
	readonly directOnly?: boolean;
}

export type PathEffect =
	| {
			readonly type: "send";
			readonly peer: WireGuardKey;
			readonly probe: Probe;
			readonly size: number;
			readonly to: MappedAddress;
	  }
	| { readonly type: "route"; readonly peer: WireGuardKey; readonly route: "direct" | "relay" | "both" }
	| { readonly type: "endpoint"; readonly peer: WireGuardKey; readonly to: MappedAddress }
	| { readonly type: "mtu"; readonly peer: WireGuardKey; readonly bytes: number }
	/** One handshake: a peer without probes is punched with it. */
	| { readonly type: "handshake"; readonly peer: WireGuardKey }
	/** Ask the coordinator to have both sides send at once. */
	| { readonly type: "punch"; readonly peer: WireGuardKey };

/**
 * How a peer is reached.
 *
 *              pong                    trust over
 *   relay ───────────────► direct ───────────────────► doubted
 *     ▲ ▲                    │  ▲          pong            │ │
 *     │ └── too narrow ──────┘  └──────────────────────────┘ │
 *     └───────────────── nothing for doubtMs ────────────────┘
 */
export type PathState =
	| { readonly at: "relay" }
	| { readonly at: "direct"; readonly via: string; readonly trustedUntil: number }
	| { readonly at: "doubted"; readonly via: string; readonly since: number };

export interface Candidate {
	readonly to: MappedAddress;
	pingedAt: number;
	/** Of the last answer; null = none lately. */
	rttMs: number | null;
	answeredAt: number;
	/** It cannot carry what IPv6 needs; not used while there is a relay. */
	narrowUntil: number;
	/** Given by the roster, rather than seen: stays while the roster names it. */
	named: boolean;
}

export interface Pending {
	readonly key: string;
	readonly at: number;
	/** Of inner packets, when the ping was for the MTU; 0 = not. */
	readonly mtu: number;
}

export interface Peer {
	options: PathPeer;
	state: PathState;
	readonly candidates: Map<string, Candidate>;
	readonly pending: Map<string, Pending>;
	seekUntil: number;
	reseekAt: number;
	heartbeatAt: number;
	activeAt: number;
	strayAt: number;
	punchAt: number;
	punches: { readonly at: number; readonly key: string }[];
	readonly mtu: PathMtu;
	route: "direct" | "relay" | "both" | null;
	endpoint: string;
}

export function newPeer(options: PathPeer, now: number): Peer {
	return {
		options,
		state: { at: "relay" },
		candidates: new Map(),
		pending: new Map(),
		seekUntil: now,
		reseekAt: now,
		heartbeatAt: now,
		activeAt: now,
		strayAt: Number.NEGATIVE_INFINITY,
		punchAt: now + pathLimits.seekEveryMs / 5,
		punches: [],
		mtu: new PathMtu(),
		route: null,
		endpoint: "",
	};
}

export function isVia(peer: Peer, text: string): boolean {
	return peer.state.at !== "relay" && peer.state.via === text;
}

export function isIdle(peer: Peer, now: number): boolean {
	return now - peer.activeAt > pathLimits.idleAfterMs;
}

export function isBetter(candidate: Candidate, current: Candidate): boolean {
	if (candidate.rttMs === null || current.rttMs === null) return candidate.rttMs !== null;
	return (
		candidate.rttMs < current.rttMs * pathLimits.betterShare && candidate.rttMs + pathLimits.betterMs <= current.rttMs
	);
}

export function keyOfCandidate(candidate: Candidate): string {
	return format(candidate.to);
}

export function format({ address, port }: MappedAddress): string {
	return address.includes(":") ? `[${address}]:${port}` : `${address}:${port}`;
}
