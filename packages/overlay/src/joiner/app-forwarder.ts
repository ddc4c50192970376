import { createConnection, createServer, type Server, type Socket } from "node:net";
import type { Closeable } from "@warren/kernel";
import { overlayError } from "../errors.ts";

export const forwarderLimits = { maxConnections: 1_024, connectMs: 10_000 } as const;

/** One local service behind its app's address on the overlay. */
export class AppForwarder implements Closeable {
	readonly #server: Server;
	readonly #open = new Set<Socket>();

	private constructor(server: Server) {
		this.#server = server;
	}

	/** @throws WarrenError `no_network` when the address is not this host's, or its port is taken. */
	static async open(
		at: { readonly host: string; readonly port: number },
		target: { readonly host: string; readonly port: number },
	): Promise<AppForwarder> {
		const server = createServer({ allowHalfOpen: true, noDelay: true });
		const forwarder = new AppForwarder(server);
		server.maxConnections = forwarderLimits.maxConnections;
		server.on("connection", (socket) => forwarder.#forward(socket, target));
		await new Promise<void>((resolve, reject) => {
			server.once("error", (cause) =>
				reject(
					overlayError("no_network", `The app at [${at.host}]:${at.port} cannot be served: ${cause.message}.`, {
						cause,
					}),
				),
			);
			server.listen({ host: at.host, port: at.port, ipv6Only: true }, () => resolve());
		});
		server.on("error", () => {});
		return forwarder;
	}

	get port(): number {
		return (this.#server.address() as { port: number }).port;
	}

	async close(): Promise<void> {
		for (const socket of this.#open) socket.destroy();
		if (this.#server.listening) await new Promise<void>((resolve) => this.#server.close(() => resolve()));
	}

	#forward(incoming: Socket, target: { readonly host: string; readonly port: number }): void {
		const outgoing = createConnection({
			...target,
			allowHalfOpen: true,
			noDelay: true,
			timeout: forwarderLimits.connectMs,
		});
		for (const [socket, other] of [
			[incoming, outgoing],
			[outgoing, incoming],
		] as const) {
			this.#open.add(socket);
			socket.once("close", () => {
				this.#open.delete(socket);
				other.destroy();
			});
			socket.on("error", () => other.destroy());
		}
		outgoing.once("timeout", () => outgoing.destroy());
		outgoing.once("connect", () => outgoing.setTimeout(0));
		incoming.pipe(outgoing);
		outgoing.pipe(incoming);
	}
}
