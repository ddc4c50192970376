import { createSocket, type Socket } from "node:dgram";
import { type Clock, type Closeable, RateLimit } from "@warren/kernel";
import { plainAddress } from "../endpoint.ts";
import { decodeStun, encodeStunAnswer } from "../protocol/stun.ts";

export const stunLimits = {
	/** Requests of one address: an answer is larger than its question, and sources can be forged. */
	perAddress: { perSecond: 20, burst: 40, maxKeys: 50_000 },
} as const;

/** Tells whoever asks from where its datagram came (RFC 8489). Two ports, so that one host shows what kind of NAT it is. */
export class StunServer implements Closeable {
	readonly #sockets: readonly Socket[];
	readonly #rate: RateLimit;
	#closing: Promise<void> | undefined;

	private constructor(sockets: readonly Socket[], clock: Clock) {
		this.#sockets = sockets;
		this.#rate = new RateLimit(clock, stunLimits.perAddress);
		for (const socket of sockets) {
			socket.on("message", (bytes, from) => this.#answer(socket, bytes, from.address, from.port));
			// A send that the network refuses concerns one client.
			socket.on("error", () => {});
		}
	}

	/** @param port the second one is the next; 0 = any two free ones. */
	static async open(host: string | undefined, port: number, clock: Clock): Promise<StunServer> {
		const first = await bind(host, port);
		try {
			return new StunServer([first, await bind(host, port === 0 ? 0 : port + 1)], clock);
		} catch (failure) {
			first.close();
			throw failure;
		}
	}

	get ports(): readonly number[] {
		return this.#sockets.map((socket) => socket.address().port);
	}

	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	async #close(): Promise<void> {
		await Promise.all(this.#sockets.map((socket) => new Promise<void>((resolve) => socket.close(() => resolve()))));
	}

	#answer(socket: Socket, bytes: Uint8Array, address: string, port: number): void {
		// Nothing can be sent to port 0: Node throws.
		if (port === 0) return;
		const message = decodeStun(bytes);
		if (message?.type !== "request" || this.#rate.take(address) > 0) return;
		socket.send(
			encodeStunAnswer(message.transaction, { address: plainAddress(address), port }),
			port,
			address,
			() => {},
		);
	}
}

function bind(host: string | undefined, port: number): Promise<Socket> {
	return new Promise((resolve, reject) => {
		const v6 = host === undefined || host.includes(":");
		const socket = createSocket({ type: v6 ? "udp6" : "udp4", ipv6Only: false });
		socket.once("error", (failure) => {
			socket.close();
			reject(failure);
		});
		socket.bind(port, host, () => {
			socket.removeAllListeners("error");
			resolve(socket);
		});
	});
}
