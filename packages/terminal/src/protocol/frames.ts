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

// — encoding ————————————————————————————————————————————————————————————————————————————————————————————————————————

const utf8 = new TextEncoder();

export function encodeHello(hello: Hello): Uint8Array {
	return encodeJson(frameHello, hello);
}

/** @throws RangeError when `bytes` is longer than `maxInputFrameBytes`. */
export function encodeInput(offset: number, bytes: Uint8Array): Uint8Array {
	if (bytes.length > maxInputFrameBytes) throw new RangeError(`${bytes.length} bytes do not fit one input frame`);
	return encodeNumbered(frameInput, offset, bytes);
}

export function encodeAck(output: number): Uint8Array {
	return encodeNumbered(frameAck, output, nothing);
}

export function encodeResize(cols: number, rows: number, mode: ViewerMode): Uint8Array {
	const message = new Uint8Array(6);
	const view = new DataView(message.buffer);
	message[0] = frameResize;
	view.setUint16(1, cols);
	view.setUint16(3, rows);
	message[5] = viewerModes.indexOf(mode);
	return message;
}

export function encodeRepaint(): Uint8Array {
	return new Uint8Array([frameRepaint]);
}

export function encodePing(token: number): Uint8Array {
	return encodeToken(framePing, token);
}

export function encodePong(token: number): Uint8Array {
	return encodeToken(framePong, token);
}

export function encodeWelcome(welcome: Welcome): Uint8Array {
	return encodeJson(frameWelcome, welcome);
}

export function encodeOutput(offset: number, bytes: Uint8Array): Uint8Array {
	return encodeNumbered(frameOutput, offset, bytes);
}

/** Where an output frame's bytes begin: for filling one in place. */
export const outputHeaderBytes = 1 + 8;

/** An output frame with room for `length` bytes at `outputHeaderBytes`, to be filled by the caller. */
export function allocateOutput(offset: number, length: number): Uint8Array {
	const message = new Uint8Array(outputHeaderBytes + length);
	message[0] = frameOutput;
	writeU64(message, 1, offset);
	return message;
}

export function encodeReset(reset: Reset): Uint8Array {
	return encodeJson(frameReset, reset);
}

export function encodeInputAck(input: number): Uint8Array {
	return encodeNumbered(frameInputAck, input, nothing);
}

export function encodeEvent(event: ViewerEvent): Uint8Array {
	return encodeJson(frameEvent, event);
}

export function encodeExit(reason: ExitReason): Uint8Array {
	return encodeJson(frameExit, { reason });
}

const nothing = new Uint8Array(0);

function encodeNumbered(type: number, value: number, bytes: Uint8Array): Uint8Array {
	const message = new Uint8Array(9 + bytes.length);
	message[0] = type;
	writeU64(message, 1, value);
	message.set(bytes, 9);
	return message;
}

function encodeToken(type: number, token: number): Uint8Array {
	const message = new Uint8Array(5);
	message[0] = type;
	new DataView(message.buffer).setUint32(1, token);
	return message;
}

function encodeJson(type: number, value: object): Uint8Array {
	const json = utf8.encode(JSON.stringify(value));
	if (json.length > maxJsonBytes) throw new RangeError(`a payload of ${json.length} bytes is over ${maxJsonBytes}`);
	const message = new Uint8Array(1 + json.length);
	message[0] = type;
	message.set(json, 1);
	return message;
}

function writeU64(message: Uint8Array, at: number, value: number): void {
	if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`${value} is not a stream offset`);
	const view = new DataView(message.buffer, message.byteOffset);
	view.setUint32(at, Math.floor(value / 2 ** 32));
	view.setUint32(at + 4, value >>> 0);
}

// — decoding ————————————————————————————————————————————————————————————————————————————————————————————————————————

/** Reads a message of a client. Byte payloads are views into `message`, not copies. */
export function decodeClientFrame(message: Uint8Array): ClientFrame | FrameError {
	const type = message[0];
	switch (type) {
		case frameHello:
			return decodeJson(message, "hello", (value) => {
				const hello = readHello(value);
				return typeof hello === "string" ? hello : { type: "hello", hello };
			});
		case frameInput: {
			if (message.length > maxClientMessageBytes) return tooLong(message, "input", maxClientMessageBytes);
			const offset = readU64(message, "input");
			return typeof offset === "number" ? { type: "input", offset, bytes: message.subarray(9) } : offset;
		}
		case frameAck: {
			const output = readExactU64(message, "ack");
			return typeof output === "number" ? { type: "ack", output } : output;
		}
		case frameResize:
			return decodeResize(message);
		case frameRepaint:
			return message.length === 1 ? { type: "repaint" } : tooLong(message, "repaint", 1);
		case framePing: {
			const token = readToken(message, "ping");
			return typeof token === "number" ? { type: "ping", token } : token;
		}
		default:
			return unknownType(type);
	}
}

/** Reads a message of a server. Byte payloads are views into `message`, not copies. */
export function decodeServerFrame(message: Uint8Array): ServerFrame | FrameError {
	const type = message[0];
	switch (type) {
		case frameWelcome:
			return decodeJson(message, "welcome", (value) => {
				const welcome = readWelcome(value);
				return typeof welcome === "string" ? welcome : { type: "welcome", welcome };
			});
		case frameOutput: {
			if (message.length > maxServerMessageBytes) return tooLong(message, "output", maxServerMessageBytes);
			const offset = readU64(message, "output");
			return typeof offset === "number" ? { type: "output", offset, bytes: message.subarray(9) } : offset;
		}
		case frameReset:
			return decodeJson(message, "reset", (value) => {
				const reset = readReset(value);
				return typeof reset === "string" ? reset : { type: "reset", reset };
			});
		case frameInputAck: {
			const input = readExactU64(message, "input-ack");
			return typeof input === "number" ? { type: "input-ack", input } : input;
		}
		case frameEvent:
			return decodeJson(message, "event", (value) => {
				const event = readEvent(value);
				return typeof event === "string" ? event : { type: "event", event };
			});
		case frameExit:
			return decodeJson(message, "exit", ({ reason }) =>
				isOneOf(exitReasons, reason) ? { type: "exit", reason } : "reason",
			);
		case framePong: {
			const token = readToken(message, "pong");
			return typeof token === "number" ? { type: "pong", token } : token;
		}
		default:
			return unknownType(type);
	}
}

function decodeResize(message: Uint8Array): ClientFrame | FrameError {
	if (message.length < 6) return tooShort(message, "resize", 6);
	if (message.length > 6) return tooLong(message, "resize", 6);
	const view = new DataView(message.buffer, message.byteOffset);
	const cols = view.getUint16(1);
	const rows = view.getUint16(3);
	const mode = viewerModes[view.getUint8(5)];
	if (!isSide(cols)) return badField("resize", "cols");
	if (!isSide(rows)) return badField("resize", "rows");
	if (mode === undefined) return badField("resize", "mode");
	return { type: "resize", cols, rows, mode };
}

const strictUtf8 = new TextDecoder("utf-8", { fatal: true });

type JsonObject = Readonly<Record<string, unknown>>;

/** @param read gives the frame, or the name of the field that is wrong. */
function decodeJson<F>(message: Uint8Array, frame: string, read: (value: JsonObject) => F | string): F | FrameError {
	if (message.length > 1 + maxJsonBytes) return tooLong(message, frame, 1 + maxJsonBytes);
	let value: unknown;
	try {
		value = JSON.parse(strictUtf8.decode(message.subarray(1)));
	} catch {
		return error("invalid-json", frame, `the ${frame} frame's payload is not UTF-8 JSON`);
	}
	if (typeof value !== "object" || value === null || Array.isArray(value)) {
		return error("invalid-json", frame, `the ${frame} frame's payload is not a JSON object`);
	}
	const read_ = read(value as JsonObject);
	return typeof read_ === "string" ? badField(frame, read_) : read_;
}

function readHello({ viewer, output, input, cols, rows, mode }: JsonObject): Hello | string {
	if (viewer !== undefined && !isViewerId(viewer)) return "viewer";
	if (!isOffset(output)) return "output";
	if (!isOffset(input)) return "input";
	if (!isSide(cols)) return "cols";
	if (!isSide(rows)) return "rows";
	if (!isOneOf(viewerModes, mode)) return "mode";
	return { ...(viewer === undefined ? {} : { viewer }), output, input, cols, rows, mode };
}

function readWelcome(value: JsonObject): Welcome | string {
	const { viewer, session, output, input, resumed, readOnly, cols, rows, mode, windowBytes } = value;
	if (!isViewerId(viewer)) return "viewer";
	const { id, name } = (typeof session === "object" && session !== null ? session : {}) as JsonObject;
	if (typeof id !== "string" || typeof name !== "string") return "session";
	if (!isOffset(output)) return "output";
	if (!isOffset(input)) return "input";
	if (typeof resumed !== "boolean") return "resumed";
	if (typeof readOnly !== "boolean") return "readOnly";
	if (!isSide(cols)) return "cols";
	if (!isSide(rows)) return "rows";
	if (!isOneOf(viewerModes, mode)) return "mode";
	if (!isOffset(windowBytes)) return "windowBytes";
	return { viewer, session: { id, name }, output, input, resumed, readOnly, cols, rows, mode, windowBytes };
}

function readReset({ output, reason, missedBytes }: JsonObject): Reset | string {
	if (!isOffset(output)) return "output";
	if (!isOneOf(resetReasons, reason)) return "reason";
	if (missedBytes !== null && !isOffset(missedBytes)) return "missedBytes";
	return { output, reason, missedBytes };
}

function readEvent({ type, cols, rows, name, title }: JsonObject): ViewerEvent | string {
	switch (type) {
		case "bell":
			return { type };
		case "size":
			return isSide(cols) && isSide(rows) ? { type, cols, rows } : "cols";
		case "renamed":
			return typeof name === "string" ? { type, name } : "name";
		case "title":
			return typeof title === "string" ? { type, title } : "title";
		default:
			return typeof type === "string" ? { type: "unknown", name: type } : "type";
	}
}

function readU64(message: Uint8Array, frame: string): number | FrameError {
	if (message.length < 9) return tooShort(message, frame, 9);
	const view = new DataView(message.buffer, message.byteOffset);
	const value = view.getUint32(1) * 2 ** 32 + view.getUint32(5);
	if (value > Number.MAX_SAFE_INTEGER) {
		return error("number-too-large", frame, `the ${frame} frame's number is above 2^53 − 1`);
	}
	return value;
}

function readExactU64(message: Uint8Array, frame: string): number | FrameError {
	return message.length > 9 ? tooLong(message, frame, 9) : readU64(message, frame);
}

function readToken(message: Uint8Array, frame: string): number | FrameError {
	if (message.length < 5) return tooShort(message, frame, 5);
	if (message.length > 5) return tooLong(message, frame, 5);
	return new DataView(message.buffer, message.byteOffset).getUint32(1);
}

function isOffset(value: unknown): value is number {
	return Number.isSafeInteger(value) && (value as number) >= 0;
}

function isSide(value: unknown): value is number {
	return Number.isInteger(value) && (value as number) >= 1 && (value as number) <= maxTerminalSide;
}

function isViewerId(value: unknown): value is string {
	return typeof value === "string" && value.length >= 1 && value.length <= maxViewerIdLength;
}

function isOneOf<const T extends readonly string[]>(values: T, value: unknown): value is T[number] {
	return typeof value === "string" && values.includes(value);
}

function error(code: FrameErrorCode, frame: string, message: string): FrameError {
	return { type: "error", code, frame, message };
}

function unknownType(type: number | undefined): FrameError {
	if (type === undefined) return error("empty", "none", "an empty message is not a frame");
	const hex = `0x${type.toString(16).padStart(2, "0")}`;
	return error("unknown-type", hex, `no frame has the type ${hex}`);
}

function tooShort(message: Uint8Array, frame: string, atLeast: number): FrameError {
	return error("too-short", frame, `the ${frame} frame has ${message.length} bytes, fewer than ${atLeast}`);
}

function tooLong(message: Uint8Array, frame: string, atMost: number): FrameError {
	return error("too-long", frame, `the ${frame} frame has ${message.length} bytes, more than ${atMost}`);
}

function badField(frame: string, field: string): FrameError {
	return error("bad-field", frame, `the ${frame} frame's ${field} is missing or out of bounds`);
}
