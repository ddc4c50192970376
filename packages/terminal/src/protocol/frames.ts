/**
 * The terminal stream's wire document: one constant per frame with its layout and direction beside it. Every message is
 * binary, one type byte and a payload; integers are big-endian; `u64` is at most 2^53 − 1. Rules: SPEC.md.
 */

/** client → : UTF-8 JSON `Hello`. The first message of every socket (T1). */
export const frameHello = 0x01;
/** client → : u64 offset of the first byte, then the bytes typed. */
export const frameInput = 0x02;
/** client → : u64 output bytes that the terminal has parsed so far. */
export const frameAck = 0x03;
/** client → : u16 cols, u16 rows, u8 mode (index in `viewerModes`). */
export const frameResize = 0x04;
/** client → : empty. Redraw the whole screen. */
export const frameRepaint = 0x05;
/** client → : u32 token. Answered by a pong with the same token (T15). */
export const framePing = 0x06;
/** → client : UTF-8 JSON `Welcome`. */
export const frameWelcome = 0x81;
/** → client : u64 offset of the first byte, then the bytes. */
export const frameOutput = 0x82;
/** → client : UTF-8 JSON `Reset`. */
export const frameReset = 0x83;
/** → client : u64 input bytes written to the terminal so far. */
export const frameInputAck = 0x84;
/** → client : UTF-8 JSON `ViewerEvent`. */
export const frameEvent = 0x85;
/** → client : UTF-8 JSON `{reason: ExitReason}`; the server then closes with 1000. */
export const frameExit = 0x86;
/** → client : u32 token of the ping that it answers. */
export const framePong = 0x87;

/** The subprotocol that a terminal's socket speaks, and the only one that is echoed. */
export const subprotocol = "warren.v1";

/** Bytes of one input frame's payload beside its offset. A client splits what is longer. */
export const maxInputFrameBytes = 64 * 1024;
/** Bytes of one output frame's payload beside its offset (T10). */
export const maxOutputFrameBytes = 32 * 1024;
/** Bytes of a JSON payload, both ways. */
export const maxJsonBytes = 16 * 1024;
/** The largest message that a server must take from a client: type byte, offset, bytes. */
export const maxClientMessageBytes = 1 + 8 + maxInputFrameBytes;
/** The largest message that a client must take from a server. */
export const maxServerMessageBytes = 1 + 8 + maxOutputFrameBytes;
/** Columns and rows of a terminal: 1 to this. */
export const maxTerminalSide = 1000;
/** Characters of a viewer's identifier. */
export const maxViewerIdLength = 64;

/** How a viewer's screen and the terminal's size relate (T12). The index is the wire's u8. */
export const viewerModes = ["fit", "follow", "read-only"] as const;
export type ViewerMode = (typeof viewerModes)[number];

export const exitReasons = ["session-ended", "detached", "killed"] as const;
export type ExitReason = (typeof exitReasons)[number];

export const resetReasons = ["too-old", "reattached", "overrun"] as const;
export type ResetReason = (typeof resetReasons)[number];

export interface Hello {
	/** The viewer to resume; absent for a new one. */
	readonly viewer?: string;
	/** Output bytes that this client has taken: the server goes on from here. */
	readonly output: number;
	/** Input bytes that this client knows to be acknowledged. */
	readonly input: number;
	readonly cols: number;
	readonly rows: number;
	readonly mode: ViewerMode;
}

export interface Welcome {
	readonly viewer: string;
	readonly session: { readonly id: string; readonly name: string };
	/** Offset of the next output byte. */
	readonly output: number;
	/** Input bytes that the server has: the client sends again what lies beyond. */
	readonly input: number;
	readonly resumed: boolean;
	/** Held to read-only, as by a share: no other mode is to be had. */
	readonly readOnly: boolean;
	readonly cols: number;
	readonly rows: number;
	readonly mode: ViewerMode;
	/** Unacknowledged output that the server allows now. */
	readonly windowBytes: number;
}

export interface Reset {
	/** Output goes on at this offset. */
	readonly output: number;
	readonly reason: ResetReason;
	/** Bytes that were missed; null when the viewer is gone and nobody knows. */
	readonly missedBytes: number | null;
}

/** Something beside the screen's bytes. A client ignores types that it does not know. */
export type ViewerEvent =
	| { readonly type: "bell" }
	| { readonly type: "size"; readonly cols: number; readonly rows: number }
	| { readonly type: "renamed"; readonly name: string }
	| { readonly type: "title"; readonly title: string }
	| { readonly type: "unknown"; readonly name: string };

export type ClientFrame =
	| { readonly type: "hello"; readonly hello: Hello }
	| { readonly type: "input"; readonly offset: number; readonly bytes: Uint8Array }
	| { readonly type: "ack"; readonly output: number }
	| { readonly type: "resize"; readonly cols: number; readonly rows: number; readonly mode: ViewerMode }
	| { readonly type: "repaint" }
	| { readonly type: "ping"; readonly token: number };

export type ServerFrame =
	| { readonly type: "welcome"; readonly welcome: Welcome }
	| { readonly type: "output"; readonly offset: number; readonly bytes: Uint8Array }
	| { readonly type: "reset"; readonly reset: Reset }
	| { readonly type: "input-ack"; readonly input: number }
	| { readonly type: "event"; readonly event: ViewerEvent }
	| { readonly type: "exit"; readonly reason: ExitReason }
	| { readonly type: "pong"; readonly token: number };

export type FrameErrorCode =
	| "empty"
	| "unknown-type"
	| "too-short"
	| "too-long"
	| "number-too-large"
	| "invalid-json"
	| "bad-field";

/** Why a message is not a frame (T2). A value, not an exception: a hostile peer is an expected case. */
export interface FrameError {
	readonly type: "error";
	readonly code: FrameErrorCode;
	/** Name of the frame, or its type byte in hex. */
	readonly frame: string;
	readonly message: string;
}
