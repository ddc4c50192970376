import type { MemberOptions, SocketId } from "./room-effects.ts";

/**
 * How far the document has got to one socket.
 *
 *   new ──step 1──► planning ──plan sent──► behind ──log read──► live
 *                      ▲                      ▲  ◄──too much buffered──┘
 *                      └──────step 1──────────┴─────────────────────────
 */
export type Progress =
	| { readonly at: "new" }
	/** `since`: it waits for its turn, because nothing has been read since then. */
	| { readonly at: "planning"; readonly since: number | null }
	/** Everything up to `after` is on its way; the rest comes from the log, once there is room. */
	| { readonly at: "behind"; readonly after: number; readonly since: number; readonly reading: boolean }
	| { readonly at: "live" };

/** A socket in a room. */
export interface Member {
	readonly socket: SocketId;
	readonly who: MemberOptions;
	readonly joinedAt: number;
	progress: Progress;
	/** Document updates received, and how many of those are on disk; for acknowledgements, in order. */
	received: number;
	durable: number;
	deniedAt: number;
	/** What its reader had taken when that was looked at last. */
	takenBytes: number;
	/** When it was told last who is here. */
	toldAt: number;
}

/** Since when something waits for its reader, or null when nothing does. */
export function slowSince({ progress }: Member): number | null {
	if (progress.at === "planning") return progress.since;
	return progress.at === "behind" && progress.reading ? progress.since : null;
}
