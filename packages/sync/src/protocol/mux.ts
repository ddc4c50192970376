import { Malformed, Reader } from "./reader.ts";
import { Writer } from "./writer.ts";

/**
 * Many documents on one socket, for a relay that stands for a whole machine: each message of the sync protocol after
 * the `v` number of its channel. Channel 0 opens and closes the others. Integers and strings are lib0's.
 */
export const muxSubprotocol = "warren.sync-mux.v1";

/** client → : `0 0 v channel string id`: opens a channel, of the client's own numbering from 1, to a document. */
const controlOpen = 0;
/** client → : `0 1 v channel`. */
const controlClose = 1;
/** → client : `0 2 v channel v code string reason`: the channel is closed, with what would be a socket's close. */
const controlClosed = 2;

/** Channels of one socket. */
export const maxMuxChannels = 1_000;

export type MuxFrame =
	| { readonly type: "message"; readonly channel: number; readonly message: Uint8Array }
	| { readonly type: "open"; readonly channel: number; readonly id: string }
	| { readonly type: "close"; readonly channel: number }
	| { readonly type: "closed"; readonly channel: number; readonly code: number; readonly reason: string }
	| { readonly type: "error"; readonly message: string };

export function decodeMux(bytes: Uint8Array): MuxFrame {
	const reader = new Reader(bytes);
	try {
		const channel = reader.varUint();
		if (channel !== 0) return { type: "message", channel, message: bytes.subarray(reader.at) };
		const frame = readControl(reader);
		reader.end();
		return frame;
	} catch (thrown) {
		if (thrown instanceof Malformed) return { type: "error", message: `the message is malformed: ${thrown.message}` };
		throw thrown;
	}
}

function readControl(reader: Reader): MuxFrame {
	const kind = reader.varUint();
	const channel = reader.varUint();
	if (channel === 0) throw new Malformed("channel 0 is for control");
	if (kind === controlOpen) return { type: "open", channel, id: reader.varString() };
	if (kind === controlClose) return { type: "close", channel };
	if (kind === controlClosed) return { type: "closed", channel, code: reader.varUint(), reason: reader.varString() };
	throw new Malformed(`control ${kind} is not known`);
}

export function encodeMuxMessage(channel: number, message: Uint8Array): Uint8Array {
	const writer = new Writer();
	writer.varUint(channel);
	writer.raw(message);
	return writer.take();
}

export function encodeMuxOpen(channel: number, id: string): Uint8Array {
	const writer = control(controlOpen, channel);
	writer.varString(id);
	return writer.take();
}

export function encodeMuxClose(channel: number): Uint8Array {
	return control(controlClose, channel).take();
}

export function encodeMuxClosed(channel: number, code: number, reason: string): Uint8Array {
	const writer = control(controlClosed, channel);
	writer.varUint(code);
	writer.varString(reason);
	return writer.take();
}

function control(kind: number, channel: number): Writer {
	const writer = new Writer();
	writer.varUint(0);
	writer.varUint(kind);
	writer.varUint(channel);
	return writer;
}
