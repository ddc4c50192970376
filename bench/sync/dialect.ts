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

/** What a client says of itself, as a stock provider renews it: `1 bytes`, in it one client, its clock and its state. */
export function presence(client: number, clock: number): Uint8Array {
	const state = lengthPrefixed(JSON.stringify({ user: { name: `Client ${client}`, color: "#3b6fd4" } }));
	const payload = Buffer.concat([Buffer.from([1, ...varUint(client), ...varUint(clock)]), state]);
	return Buffer.concat([Buffer.from([1, payload.length]), payload]);
}

function varUint(value: number): number[] {
	return value < 0x80 ? [value] : [(value & 0x7f) | 0x80, ...varUint(value >>> 7)];
}

/** The document's name goes before each message; shorter than 128 bytes here. */
function named(room: string, message: Uint8Array): Uint8Array {
	return Buffer.concat([lengthPrefixed(room), message]);
}

function lengthPrefixed(text: string): Buffer {
	return Buffer.concat([Buffer.from([Buffer.byteLength(text)]), Buffer.from(text)]);
}
