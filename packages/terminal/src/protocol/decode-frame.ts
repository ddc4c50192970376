import {
	type ClientFrame,
	exitReasons,
	type FrameError,
	type FrameErrorCode,
	frameAck,
	frameEvent,
	frameExit,
	frameHello,
	frameInput,
	frameInputAck,
	frameOutput,
	framePing,
	framePong,
	frameRepaint,
	frameReset,
	frameResize,
	frameWelcome,
	type Hello,
	maxClientMessageBytes,
	maxJsonBytes,
	maxServerMessageBytes,
	maxTerminalSide,
	maxViewerIdLength,
	type Reset,
	resetReasons,
	type ServerFrame,
	type ViewerEvent,
	viewerModes,
	type Welcome,
} from "./frames.ts";

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
