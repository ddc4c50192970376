import type { AuthMessage, Feature } from "./frames.ts";
import type { Mesh } from "./mesh.ts";
import type { SocketId } from "./server-effects.ts";

/**
 * How far a connection has got.
 *
 *   new ──gateway_auth──► verifying ──yes──► in ──► over
 *    │ ▲                     │ no             newer login, fault, drain
 *    │ └── challenged ◄──────┼── key without signature
 *    └── 10 s, noise ────────┴──► over
 */
export type SessionState =
	| { readonly at: "new"; readonly said: number }
	| { readonly at: "challenged"; readonly said: number; readonly nonce: string }
	| { readonly at: "verifying"; readonly auth: AuthMessage; readonly held: string[]; readonly heldBytes: number }
	| { readonly at: "in"; readonly mesh: Mesh }
	| { readonly at: "over" };

export interface Session {
	readonly socket: SocketId;
	readonly address: string;
	/** As the client dialled it. */
	readonly host: string;
	readonly openedAt: number;
	state: SessionState;
	features: ReadonlySet<Feature>;
	/** Whom it spoke to last: found without a search. */
	target: Mesh | null;
	/** Messages that need an acknowledgement, sent on this connection, and how many of those have theirs. */
	sent: number;
	acknowledged: number;
	/** What must come again before anything else is taken (rule G13): the first of all that were rejected. */
	blockedOn: { readonly id: string; readonly order: number } | null;
}

export const noFeatures: ReadonlySet<Feature> = new Set();
