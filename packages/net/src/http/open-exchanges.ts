import type { ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import { type CloseCode, closeCodes, type Identity } from "@warren/kernel";
import type { WebSocketConnection } from "../websocket/connection.ts";

/** What stays open at a listener after its request was let in, and on whose behalf: it ends when they are signed out. */
export class OpenExchanges {
	/** Upgrades that are authenticated and wait for their route's word. */
	readonly #waiting = new Map<Duplex, Identity | null>();
	readonly #connections = new Map<WebSocketConnection, Identity | null>();
	/** Sockets that a route took as they are. */
	readonly #taken = new Map<Duplex, Identity | null>();
	readonly #streams = new Map<ServerResponse, Identity | null>();
	#draining = false;

	get webSocketCount(): number {
		return this.#connections.size + this.#taken.size;
	}

	waits(socket: Duplex, identity: Identity | null): void {
		this.#waiting.set(socket, identity);
		socket.once("close", () => this.#waiting.delete(socket));
	}

	opened(socket: Duplex, connection: WebSocketConnection, identity: Identity | null): void {
		this.#waiting.delete(socket);
		this.#connections.set(connection, identity);
		connection.onClose(() => this.#connections.delete(connection));
		if (this.#draining) comeBack(connection);
	}

	taken(socket: Duplex, identity: Identity | null): void {
		this.#waiting.delete(socket);
		this.#taken.set(socket, identity);
		socket.once("close", () => this.#taken.delete(socket));
		if (this.#draining) socket.destroy();
	}

	streams(outgoing: ServerResponse, identity: Identity | null): void {
		this.#streams.set(outgoing, identity);
		outgoing.once("close", () => this.#streams.delete(outgoing));
	}

	/** WebSockets with a code, relayed sockets and streamed answers by a cut. @returns how many were ended. */
	disconnect(matches: (identity: Identity) => boolean, code: CloseCode, reason: string): number {
		let ended = 0;
		const owned = (identity: Identity | null) => identity !== null && matches(identity) && ++ended > 0;
		for (const [connection, identity] of this.#connections) if (owned(identity)) void connection.close(code, reason);
		for (const [socket, identity] of this.#waiting) if (owned(identity)) socket.destroy();
		for (const [socket, identity] of this.#taken) if (owned(identity)) socket.destroy();
		for (const [outgoing, identity] of this.#streams) if (owned(identity)) outgoing.destroy();
		return ended;
	}

	/** The server is stopping, from now on: WebSockets are told to come back (1012), streams may finish. */
	drain(): void {
		this.#draining = true;
		for (const connection of this.#connections.keys()) comeBack(connection);
		for (const socket of this.#taken.keys()) socket.destroy();
	}
}

function comeBack(connection: WebSocketConnection): void {
	void connection.close(closeCodes.draining, "the server is stopping");
}
