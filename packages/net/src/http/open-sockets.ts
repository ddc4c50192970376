import type { Server, ServerResponse } from "node:http";
import type { Server as SecureServer } from "node:https";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";

/**
 * The connections of one server, from their first packet on. The server itself knows only those whose TLS handshake is
 * over, and would wait for the others when it closes.
 */
export class OpenSockets {
	/** By their ends: the plain socket and the TLS socket over it share those, and nothing else that is public. */
	readonly #all = new Map<string, Socket>();
	/** Those that have asked nothing yet: half a handshake, a browser's connection in reserve. */
	readonly #unused = new Set<string>();
	readonly #answers = new WeakMap<Duplex, Set<ServerResponse>>();
	#onEmpty: () => void = () => {};

	constructor(server: Server | SecureServer) {
		server.on("connection", (socket: Socket) => {
			const ends = endsOf(socket);
			this.#all.set(ends, socket);
			this.#unused.add(ends);
			socket.once("close", () => {
				if (this.#all.get(ends) !== socket) return;
				this.#all.delete(ends);
				this.#unused.delete(ends);
				if (this.#all.size === 0) this.#onEmpty();
			});
		});
	}

	/** The connection carries a request. */
	used(socket: Socket): void {
		this.#unused.delete(endsOf(socket));
	}

	/** …that is answered by `answer`. */
	answers(socket: Socket, answer: ServerResponse): void {
		const answers = this.#answers.get(socket) ?? new Set();
		this.#answers.set(socket, answers.add(answer));
		answer.once("close", () => answers.delete(answer));
	}

	/** A request that came before is not answered yet. */
	owesAnswer(socket: Duplex): boolean {
		return (this.#answers.get(socket)?.size ?? 0) > 0;
	}

	/** Part of an answer is out, and what else is written would be taken for more of it. */
	isAnswering(socket: Duplex): boolean {
		return [...(this.#answers.get(socket) ?? [])].some((answer) => answer.headersSent);
	}

	/** None is left: also of those that others accepted, which the server does not count. */
	emptied(): Promise<void> {
		return new Promise((resolve) => {
			this.#onEmpty = resolve;
			if (this.#all.size === 0) resolve();
		});
	}

	cutUnused(): void {
		for (const ends of this.#unused) this.#all.get(ends)?.destroy();
	}

	cutAll(): void {
		for (const socket of this.#all.values()) socket.destroy();
	}
}

export function endsOf(socket: Socket): string {
	return `${socket.remoteAddress} ${socket.remotePort} ${socket.localAddress} ${socket.localPort}`;
}
