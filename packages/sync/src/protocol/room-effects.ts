import type { AwarenessEntry } from "./awareness.ts";
import type { Coverage } from "./coverage.ts";
import type { SyncLimits } from "./limits.ts";
import type { OwnedEntry } from "./room-notes.ts";

/** A socket within one relay. */
export type SocketId = number;

export interface MemberOptions {
	/** Whose presence it speaks for: `describeIdentity`. Stands in the log beside each update. */
	readonly owner: string;
	readonly access: "read-only" | "read-write";
	/** It negotiated durable acknowledgements. */
	readonly acknowledges: boolean;
	/** Awareness clients that it may speak for: 1 for a stock client. */
	readonly maxClients: number;
	/** Rewrites each state of its own (discovery stamps who it is); null refuses it. */
	readonly stamp?: (state: string) => string | null;
}

/** How far a socket had got when its room lost its memory (S22). */
export interface MemberStanding {
	readonly progress: "new" | "behind" | "live";
	/** Document updates received, all of them on disk. */
	readonly received: number;
	/** What it said of who is present. */
	readonly entries: readonly AwarenessEntry[];
}

/** An update on its way to the log. */
export interface PendingUpdate {
	readonly socket: SocketId;
	readonly owner: string;
	readonly update: Uint8Array;
}

/** An update as it stands in the log. */
export interface LoggedUpdate {
	readonly seq: number;
	readonly update: Uint8Array;
	/** Who sent it, while that is known: it is not sent back. */
	readonly socket: SocketId | null;
}

export type RoomEffect =
	/** To the log; answered by `committed` or `rejected`, in order. */
	| { readonly type: "append"; readonly pending: PendingUpdate }
	| { readonly type: "send"; readonly to: readonly SocketId[]; readonly message: Uint8Array }
	/** Each gets those that it did not send itself. */
	| { readonly type: "deliver"; readonly to: readonly SocketId[]; readonly updates: readonly LoggedUpdate[] }
	/** Send what lies beyond the state vector, then call `planned`. */
	| { readonly type: "plan"; readonly socket: SocketId; readonly clocks: ReadonlyMap<number, number> }
	/** Send the log from after that number, as far as the buffer allows, then call `caughtUp`. */
	| { readonly type: "catch-up"; readonly socket: SocketId; readonly after: number }
	| {
			readonly type: "close";
			readonly socket: SocketId;
			readonly code: number;
			readonly error: string;
			readonly message: string;
	  }
	/** To the other relays that share the room. */
	| { readonly type: "tell-presence"; readonly entries: readonly OwnedEntry[] }
	/** Awareness changed; for whoever reads it on the server. */
	| { readonly type: "presence" };

export interface RoomMachineOptions {
	/** Sequence number of the last update in the log. */
	readonly head: number;
	readonly coverage: Coverage;
	/** False for rooms of presence alone: their updates are refused. */
	readonly keepsUpdates: boolean;
	/** Other relays serve this room too. */
	readonly shared?: boolean;
	/** Bytes of log and snapshot now. */
	readonly storedBytes: number;
	readonly limits?: Partial<SyncLimits>;
}
