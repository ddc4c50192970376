import { syncLimits } from "./limits.ts";
import { Malformed, Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

/**
 * The wire document: the messages of y-websocket, literally, and one of our own for those who ask for it. Every message
 * is binary; `v` stands for a lib0 variable-length unsigned integer, `bytes` for a `v` length and that many bytes.
 */

/** Both ways: `v` 0, then one of the three below. */
export const messageSync = 0;
/** `0 0 bytes`: the sender's state vector; asks for what lies beyond it. */
export const syncStep1 = 0;
/** `0 1 bytes`: an update that answers step 1. Ends a first sync. */
export const syncStep2 = 1;
/** `0 2 bytes`: an update. */
export const syncUpdate = 2;
/** Both ways: `1 bytes`, in it `v` count, then per client `v` id, `v` clock, string JSON state (`null` = gone). */
export const messageAwareness = 1;
/** → client : `2 0 string`: permission denied, with the reason. */
export const messageAuth = 2;
/** client → : `3`: send everybody's awareness. */
export const messageQueryAwareness = 3;
/** → client : `100 v`: so many of this socket's document updates are on disk. Only with `ackSubprotocol`. */
export const messageDurable = 100;

/** Negotiates durable acknowledgements and more than one awareness client a socket: for a relay that stands for many. */
export const ackSubprotocol = "warren.sync.v1";

export type ClientFrame =
	| { readonly type: "step1"; readonly stateVector: Uint8Array }
	/** `answer`: it came as step 2. */
	| { readonly type: "update"; readonly update: Uint8Array; readonly answer: boolean }
	| { readonly type: "awareness"; readonly payload: Uint8Array }
	| { readonly type: "query-awareness" }
	| { readonly type: "auth"; readonly reason: string }
	| { readonly type: "durable"; readonly count: number };

/** Why a message is not a frame: a value, for a hostile peer is an expected case. */
export interface FrameError {
	readonly type: "error";
	readonly message: string;
}

/** Payloads are views of `message`. */
export function decodeFrame(message: Uint8Array): ClientFrame | FrameError {
	const reader = new Reader(message);
	try {
		const frame = readFrame(reader);
		if (frame.type !== "error") reader.end();
		return frame;
	} catch (thrown) {
		if (thrown instanceof Malformed) return { type: "error", message: `the message is malformed: ${thrown.message}` };
		throw thrown;
	}
}

function readFrame(reader: Reader): ClientFrame | FrameError {
	const type = reader.varUint();
	switch (type) {
		case messageSync:
			return readSync(reader);
		case messageAwareness: {
			const payload = reader.varBytes();
			if (payload.length > syncLimits.maxAwarenessBytes) return tooLong("awareness", payload.length);
			return { type: "awareness", payload };
		}
		case messageAuth:
			if (reader.varUint() !== 0) return { type: "error", message: "this kind of auth message is not known" };
			return { type: "auth", reason: reader.varString() };
		case messageQueryAwareness:
			return { type: "query-awareness" };
		case messageDurable:
			return { type: "durable", count: reader.varUint() };
		default:
			return { type: "error", message: `message type ${type} is not known` };
	}
}

function readSync(reader: Reader): ClientFrame | FrameError {
	const step = reader.varUint();
	const payload = reader.varBytes();
	if (step === syncStep1) {
		if (payload.length > syncLimits.maxStateVectorBytes) return tooLong("state vector", payload.length);
		return { type: "step1", stateVector: payload };
	}
	if (step === syncStep2 || step === syncUpdate) return { type: "update", update: payload, answer: step === syncStep2 };
	return { type: "error", message: `sync step ${step} is not known` };
}

function tooLong(what: string, length: number): FrameError {
	return { type: "error", message: `${what} of ${length} bytes is too long` };
}

/** Two types and a length; `Writer` reserves eight bytes for each number. */
const maxSyncHeadBytes = 24;

export function encodeStep1(stateVector: Uint8Array): Uint8Array {
	return encodeSync(syncStep1, stateVector);
}

export function encodeStep2(update: Uint8Array): Uint8Array {
	return encodeSync(syncStep2, update);
}

export function encodeUpdate(update: Uint8Array): Uint8Array {
	return encodeSync(syncUpdate, update);
}

export function encodeAwareness(payload: Uint8Array): Uint8Array {
	const writer = new Writer();
	writer.varUint(messageAwareness);
	writer.varBytes(payload);
	return writer.take();
}

export function encodePermissionDenied(reason: string): Uint8Array {
	const writer = new Writer();
	writer.varUint(messageAuth);
	writer.varUint(0);
	writer.varString(reason);
	return writer.take();
}

export function encodeQueryAwareness(): Uint8Array {
	return new Uint8Array([messageQueryAwareness]);
}

export function encodeDurable(count: number): Uint8Array {
	const writer = new Writer();
	writer.varUint(messageDurable);
	writer.varUint(count);
	return writer.take();
}

function encodeSync(step: number, payload: Uint8Array): Uint8Array {
	const writer = new Writer(payload.length + maxSyncHeadBytes);
	writer.varUint(messageSync);
	writer.varUint(step);
	writer.varBytes(payload);
	return writer.take();
}
