import type { Server } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Socket } from "node:net";

/**
 * The connections of one server, from their first packet on. The server itself knows only those whose TLS handshake is
 * over, and would wait for the others when it closes.
 */
export class OpenSockets {
	/** By the far end: the plain socket and the TLS socket over it share that, and nothing else that is public. */
	readonly #all = new Map<string, Socket>();
	/** Those that have asked nothing yet: half a handshake, a browser's connection in reserve. */
	readonly #unused = new Set<string>();

	constructor(server: Server | SecureServer) {
		server.on("connection", (socket: Socket) => {
			const end = farEnd(socket);
			this.#all.set(end, socket);
			this.#unused.add(end);
			socket.once("close", () => {
				if (this.#all.get(end) !== socket) return;
				this.#all.delete(end);
				this.#unused.delete(end);
			});
		});
	}

	/** The connection carries a request. */
	used(socket: Socket): void {
		this.#unused.delete(farEnd(socket));
	}

	cutUnused(): void {
		for (const end of this.#unused) this.#all.get(end)?.destroy();
	}

	cutAll(): void {
		for (const socket of this.#all.values()) socket.destroy();
	}
}

function farEnd(socket: Socket): string {
	return `${socket.remoteAddress} ${socket.remotePort}`;
}
