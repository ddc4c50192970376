import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import type { Clock } from "@warren/kernel";
import { WebSocketServer } from "ws";
import { type AcceptOptions, WebSocketConnection, webSocketLimits } from "../websocket/connection.ts";
import { TurnWrites } from "../websocket/turn-writes.ts";
import { webSocketProtocol } from "./credentials.ts";
import { httpError } from "./responses.ts";

/** Answers WebSocket handshakes of one listener, each with its route's subprotocols and limit of a message. */
export class Handshakes {
	readonly #clock: Clock;
	/** The connections of one listener share what they write at the end of a turn. */
	readonly #turn = new TurnWrites();
	readonly #subprotocols = new WeakMap<IncomingMessage, readonly string[]>();
	/** The library's, by the largest message that they take. */
	readonly #servers = new Map<number, WebSocketServer>();

	constructor(clock: Clock) {
		this.#clock = clock;
	}

	/** @throws WarrenError `bad_request`. */
	complete(
		incoming: IncomingMessage,
		socket: Duplex,
		head: Buffer,
		remoteAddress: string,
		options: AcceptOptions,
	): WebSocketConnection {
		let connection: WebSocketConnection | undefined;
		if (options.subprotocols !== undefined) this.#subprotocols.set(incoming, options.subprotocols);
		const server = this.#serverFor(options.maxMessageBytes ?? webSocketLimits.maxMessageBytes);
		server.handleUpgrade(incoming, socket, head, (ws) => {
			connection = new WebSocketConnection(ws, socket, remoteAddress, this.#clock, options, this.#turn);
		});
		if (connection === undefined) throw httpError("bad_request", "The WebSocket handshake is malformed.");
		return connection;
	}

	close(): void {
		for (const server of this.#servers.values()) server.close();
	}

	#serverFor(maxPayload: number): WebSocketServer {
		let server = this.#servers.get(maxPayload);
		if (server === undefined) {
			server = new WebSocketServer({
				noServer: true,
				clientTracking: false,
				perMessageDeflate: false,
				maxPayload,
				handleProtocols: (offered, incoming) => {
					const spoken = [...(this.#subprotocols.get(incoming) ?? []), webSocketProtocol];
					return spoken.find((each) => offered.has(each)) ?? false;
				},
			});
			this.#servers.set(maxPayload, server);
		}
		return server;
	}
}
