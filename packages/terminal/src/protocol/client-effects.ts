import type { ExitReason, Reset, ViewerEvent, ViewerMode, Welcome } from "./frames.ts";

export interface ClientLimits {
	/** Parsed output that is acknowledged at once (T5). */
	readonly ackEveryBytes: number;
	/** Less than that is acknowledged after this long. */
	readonly ackAfterMs: number;
	/** Typed and not acknowledged: above it, `type` refuses (T14). */
	readonly maxUnacknowledgedInputBytes: number;
	/** From the first try to open a socket to its welcome. */
	readonly connectMs: number;
	/** After this much silence the client asks for a sign of life (T15). */
	readonly pingAfterMs: number;
	/** A socket that stays silent for this long after a ping is given up. */
	readonly pongWithinMs: number;
	/** The same, when `probe` was called: a page that came back to the front. */
	readonly probeWithinMs: number;
	readonly firstRetryMs: number;
	readonly maxRetryMs: number;
}

export const clientLimits: ClientLimits = {
	ackEveryBytes: 32 * 1024,
	ackAfterMs: 20,
	maxUnacknowledgedInputBytes: 1024 * 1024,
	connectMs: 15_000,
	pingAfterMs: 20_000,
	pongWithinMs: 10_000,
	probeWithinMs: 3_000,
	firstRetryMs: 250,
	maxRetryMs: 10_000,
};

/** A place in the output: given with a `write`, handed back to `parsed`. */
export interface OutputMark {
	readonly epoch: number;
	readonly end: number;
}

/** Why a client stopped for good. */
export type StopReason =
	/** The terminal ended, or this viewer was detached. */
	| { readonly kind: "exit"; readonly reason: ExitReason }
	/** A close code that says: not with these credentials, or not with this request. */
	| { readonly kind: "refused"; readonly code: number; readonly message: string }
	/** `close` was called. */
	| { readonly kind: "closed" };

/** What the loop must do, in order. `link` numbers the sockets; say it back with everything that a socket does. */
export type ClientEffect =
	| { readonly type: "connect"; readonly link: number }
	| { readonly type: "send"; readonly link: number; readonly bytes: Uint8Array }
	/** Close this socket and forget it: nothing of it matters any more. */
	| { readonly type: "disconnect"; readonly link: number; readonly code: number; readonly reason: string }
	/** Give these bytes to the terminal; once it has parsed them, call `parsed` with the mark. */
	| { readonly type: "write"; readonly bytes: Uint8Array; readonly mark: OutputMark }
	/** Clear the terminal, in order with the writes: what follows is a fresh screen. */
	| { readonly type: "reset"; readonly reset: Reset }
	| { readonly type: "welcome"; readonly welcome: Welcome }
	| { readonly type: "event"; readonly event: ViewerEvent }
	/** These typed bytes were not acknowledged and are sent no more: their viewer is gone, or the client stopped. */
	| { readonly type: "input-lost"; readonly bytes: number }
	| { readonly type: "round-trip"; readonly ms: number }
	/** The connection was lost; the next try is in `retryMs`. `code` 0 = no close frame came. */
	| { readonly type: "lost"; readonly code: number; readonly message: string; readonly retryMs: number }
	| { readonly type: "stopped"; readonly reason: StopReason };

export interface ClientMachineOptions {
	readonly cols: number;
	readonly rows: number;
	readonly mode: ViewerMode;
	/** A viewer to resume from an earlier page, with what its terminal had taken. */
	readonly resume?: { readonly viewer: string; readonly output: number; readonly input: number };
	/** Uniform in [0, 1): spreads reconnects. */
	readonly fraction: () => number;
	readonly limits?: Partial<ClientLimits>;
}
