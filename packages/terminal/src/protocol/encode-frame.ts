import {
	type ExitReason,
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
	maxInputFrameBytes,
	maxJsonBytes,
	type Reset,
	type ViewerEvent,
	type ViewerMode,
	viewerModes,
	type Welcome,
} from "./frames.ts";

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
