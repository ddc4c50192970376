import { encodeStep1, encodeUpdate } from "@warren/sync/protocol";

export const serverNames = ["y-websocket", "hocuspocus", "warren"] as const;
export type ServerName = (typeof serverNames)[number];

/** How a client speaks to each server: the same messages, in other envelopes. */
export interface Dialect {
	url(port: number, room: string): string;
	readonly protocols: readonly string[];
	/** Sent first, before step 1. */
	hello(room: string): Uint8Array | null;
	wrap(room: string, message: Uint8Array): Uint8Array;
	/** Where the message begins in what was received. */
	offset(received: Uint8Array): number;
}

const plain = { hello: () => null, wrap: (_room: string, message: Uint8Array) => message, offset: () => 0 };

export const dialects: Readonly<Record<ServerName, Dialect>> = {
	"y-websocket": { ...plain, url: (port, room) => `ws://127.0.0.1:${port}/${room}`, protocols: [] },
	warren: {
		...plain,
		url: (port, room) => `ws://127.0.0.1:${port}/rooms/${room}/sync`,
		protocols: ["warren.v1", "bearer.bench"],
	},
	hocuspocus: {
		url: (port) => `ws://127.0.0.1:${port}/`,
		protocols: [],
		// Type 2 is auth, 0 a token.
		hello: (room) => named(room, Buffer.concat([Buffer.from([2, 0]), lengthPrefixed("token")])),
		wrap: named,
		offset: (received) => 1 + (received[0] ?? 0),
	},
};

export function step1(): Uint8Array {
	return encodeStep1(new Uint8Array([0]));
}

export { encodeUpdate };

/** The document's name goes before each message; shorter than 128 bytes here. */
function named(room: string, message: Uint8Array): Uint8Array {
	return Buffer.concat([lengthPrefixed(room), message]);
}

function lengthPrefixed(text: string): Buffer {
	return Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);
}
