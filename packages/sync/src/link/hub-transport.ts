import { type Clock, type Closeable, messageOf } from "@warren/kernel";
import { dialWebSocket, type WebSocketConnection, webSocketProtocol } from "@warren/net";
import {
	ackSubprotocol,
	decodeMux,
	encodeMuxClose,
	encodeMuxMessage,
	encodeMuxOpen,
	maxMuxChannels,
	muxSubprotocol,
	syncLimits,
} from "../protocol/index.ts";
import { type HubEndpoint, linkLimits } from "./hub-endpoint.ts";

/** What a link needs of its way to the hub: a socket of its own, or a part of a shared one. */
export interface DocumentTransport {
	readonly bufferedBytes: number;
	send(message: Uint8Array): void;
	onMessage(handler: (message: Uint8Array) => void): void;
	onClose(handler: (code: number, reason: string) => void): void;
	onDrain(handler: () => void): void;
	close(): Promise<void> | void;
}

export type TransportResult =
	| { readonly ok: true; readonly transport: DocumentTransport }
	| { readonly ok: false; readonly message: string };

/**
 * Ways to one hub: all documents on one socket where the hub can (up to a limit), a socket each where it cannot. Listen
 * in the turn in which a transport is given.
 */
export class HubTransport implements Closeable {
	readonly #hub: HubEndpoint;
	readonly #clock: Clock;
	readonly #abort = new AbortController();
	#shared: SharedSocket | null = null;
	#dialing: Promise<SharedSocket | string | null> | null = null;

	constructor(hub: HubEndpoint, clock: Clock) {
		this.#hub = hub;
		this.#clock = clock;
	}

	async open(id: string, token: string): Promise<TransportResult> {
		const shared = await this.#share(token);
		if (typeof shared === "string") return { ok: false, message: shared };
		if (shared !== null && shared.channels < maxMuxChannels) return { ok: true, transport: shared.open(id) };
		return this.#dial(`rooms/${encodeURIComponent(id)}/sync`, token, [ackSubprotocol, webSocketProtocol]);
	}

	async close(): Promise<void> {
		this.#abort.abort(new Error("the link was closed"));
		await this.#shared?.close();
	}

	/** @returns null when this hub has no shared sockets, a message when it cannot be reached. */
	async #share(token: string): Promise<SharedSocket | string | null> {
		if (this.#shared?.isOpen === true) return this.#shared;
		this.#dialing ??= this.#dialShared(token).finally(() => {
			this.#dialing = null;
		});
		return this.#dialing;
	}

	async #dialShared(token: string): Promise<SharedSocket | string | null> {
		const dialed = await this.#dial("rooms", token, [muxSubprotocol, webSocketProtocol]);
		if (!dialed.ok) return dialed.status === 404 || dialed.status === 405 ? null : dialed.message;
		if (dialed.transport.protocol !== muxSubprotocol) {
			void dialed.transport.close();
			return null;
		}
		this.#shared = new SharedSocket(dialed.transport);
		return this.#shared;
	}

	async #dial(path: string, token: string, protocols: readonly string[]) {
		const url = `${this.#hub.url.replace(/^http/, "ws").replace(/\/+$/, "")}/${path}`;
		try {
			const dialed = await dialWebSocket(url, this.#clock, {
				...this.#hub.dial,
				headers: { authorization: `Bearer ${token}` },
				protocols,
				maxMessageBytes: syncLimits.maxRoomBytes,
				maxBufferedBytes: linkLimits.maxBufferedBytes,
				signal: this.#abort.signal,
			});
			return dialed.ok
				? ({ ok: true, transport: dialed.connection } as const)
				: ({ ok: false, status: dialed.status, message: dialed.message } as const);
		} catch (fault) {
			return { ok: false, status: null, message: messageOf(fault) } as const;
		}
	}
}

class SharedSocket implements Closeable {
	readonly #connection: WebSocketConnection;
	readonly #channels = new Map<number, ChannelEnd>();
	#next = 1;

	constructor(connection: WebSocketConnection) {
		this.#connection = connection;
		connection.onMessage((data) => {
			const frame = decodeMux(data);
			if (frame.type === "message") this.#channels.get(frame.channel)?.onMessageHandler?.(frame.message);
			if (frame.type === "closed") this.#end(frame.channel, frame.code, frame.reason);
		});
		connection.onClose((code, reason) => {
			for (const channel of this.#channels.keys()) this.#end(channel, code, reason);
		});
		connection.onDrain(() => {
			for (const channel of this.#channels.values()) channel.onDrainHandler?.();
		});
	}

	get isOpen(): boolean {
		return this.#connection.isOpen;
	}

	get channels(): number {
		return this.#channels.size;
	}

	open(id: string): DocumentTransport {
		const number = this.#next++;
		const channel = new ChannelEnd(this.#connection, number, () => this.#end(number, 1000, ""));
		this.#channels.set(number, channel);
		this.#connection.send(encodeMuxOpen(number, id));
		return channel;
	}

	async close(): Promise<void> {
		await this.#connection.close(1000, "the link was closed");
	}

	#end(number: number, code: number, reason: string): void {
		const channel = this.#channels.get(number);
		if (!this.#channels.delete(number)) return;
		for (const handler of channel?.onCloseHandlers ?? []) handler(code, reason);
	}
}

class ChannelEnd implements DocumentTransport {
	readonly #connection: WebSocketConnection;
	readonly #number: number;
	readonly #onClosed: () => void;
	onMessageHandler: ((message: Uint8Array) => void) | undefined;
	onDrainHandler: (() => void) | undefined;
	readonly onCloseHandlers: ((code: number, reason: string) => void)[] = [];

	constructor(connection: WebSocketConnection, number: number, onClosed: () => void) {
		this.#connection = connection;
		this.#number = number;
		this.#onClosed = onClosed;
	}

	get bufferedBytes(): number {
		return this.#connection.bufferedBytes;
	}

	send(message: Uint8Array): void {
		this.#connection.send(encodeMuxMessage(this.#number, message));
	}

	onMessage(handler: (message: Uint8Array) => void): void {
		this.onMessageHandler = handler;
	}

	onClose(handler: (code: number, reason: string) => void): void {
		this.onCloseHandlers.push(handler);
	}

	onDrain(handler: () => void): void {
		this.onDrainHandler = handler;
	}

	close(): void {
		this.#connection.send(encodeMuxClose(this.#number));
		this.#onClosed();
	}
}
