import type { Socket } from "node:net";
import type { Front } from "../front.ts";

/** What is known of a client's connection before it says anything, and holds for all of its requests. */
export interface Arrival {
	readonly socket: Socket;
	/** The service whose port this is; null = sorted by Host. */
	readonly pinned: string | null;
	/** Canonical. */
	readonly peer: string;
	readonly secure: boolean;
}

export function arrivalOf(front: Front, socket: Socket, pinned: string | null): Arrival {
	return { socket, pinned, peer: front.addressOf(socket), secure: front.isSecure(socket) };
}
