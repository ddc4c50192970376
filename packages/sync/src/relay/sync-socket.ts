import type { Outgoing } from "./outgoing.ts";

/** What a room needs of a socket: a client's WebSocket, or the near end of a link to another relay. */
export interface SyncSocket {
	/** More waits for the reader than live updates may add to. */
	readonly isBlocked: boolean;
	/** Bytes that its reader has taken so far: they grow while it reads, however much waits. */
	readonly takenBytes: number;
	/**
	 * Takes everything, in order; a reader that leaves too much waiting is closed 1013.
	 * @returns whether it is not blocked after that.
	 */
	send(outgoing: Outgoing): boolean;
	/**
	 * Does what sends much once nothing waits for the reader, and when others' such work on the same socket has ended; never
	 * after it was closed. @param work never rejects.
	 */
	inTurn(work: () => Promise<void>): void;
	close(code: number, error: string, message: string): void;
	onMessage(handler: (message: Uint8Array) => void): void;
	/** @param handler clean: it said goodbye, rather than being cut. */
	onClose(handler: (clean: boolean) => void): void;
	/** Called when `isBlocked` has become false. */
	onDrain(handler: () => void): void;
}

/** RFC 6455 §5.5: a control frame carries at most 125 bytes, two of them the code. */
const maxReasonBytes = 123;

/** `{error, message}` as a close frame's reason: the message is cut so that the whole stays JSON. */
export function closeReason(error: string, message: string): string {
	for (let length = message.length; ; length = Math.max(0, length - 4)) {
		const reason = JSON.stringify({ error, message: message.slice(0, length) });
		if (Buffer.byteLength(reason) <= maxReasonBytes || length === 0) return reason;
	}
}
