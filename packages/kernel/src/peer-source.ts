import type { NodeId, PeerId } from "./ids.ts";

/** A machine that a source says exists. */
export interface PeerCandidate {
	/** Name for people. */
	readonly name: string;
	/** Host name or address to dial. */
	readonly host: string;
	readonly port: number;
	/** Further names and addresses of the same machine, best first: tried when the first does not answer. */
	readonly others?: readonly string[];
	/** The machine's own identifier, where the source knows it: joins its rows across sources. */
	readonly nodeId?: NodeId;
	/** Set when the source keeps identifiers of its own (manual peers). */
	readonly id?: PeerId;
}

/** Why a source has no answer: shown beside the others' answers, never instead of them. */
export interface PeerSourceError {
	readonly source: string;
	readonly kind: string;
	readonly message: string;
	/** What to do, a sentence or a command. */
	readonly fix: string;
}

/** Where peers come from: typed in, tailnet, overlay, hub. Wired in apps/warren. */
export interface PeerSource {
	/** Stable name, shown to people: `manual`, `tailscale`, `overlay`, `hub`. */
	readonly name: string;
	/** Never rejects; a failing source says why. Must settle within `signal`'s deadline. */
	candidates(
		signal: AbortSignal,
	): Promise<{ readonly candidates: readonly PeerCandidate[]; readonly errors: readonly PeerSourceError[] }>;
}
