import { createSocket, type Socket } from "node:dgram";
import { type Arena, regions } from "../engine/arena.ts";
import type { UdpIo } from "../engine/packet-io.ts";
import { type Endpoint, endpointFromBytes, endpointOf } from "../protocol/endpoint.ts";

/** Datagrams that Node has taken and the system has not; beyond it they are dropped, as a full wire would. */
const maxQueuedBytes = 4 * 1024 * 1024;
const socketBufferBytes = 4 * 1024 * 1024;

/** UDP through node:dgram, a copy and a call a datagram. v4 and v6 on one socket; where v6 is off, v4 alone. */
export class DgramSocket implements UdpIo {
	readonly hasSegmentation = false;
	readonly port: number;
	sendErrors = 0;
	readonly #socket: Socket;
	readonly #arena: Arena;
	readonly #isV6: boolean;
	#isClosed = false;

	private constructor(arena: Arena, socket: Socket, isV6: boolean) {
		this.#arena = arena;
		this.#socket = socket;
		this.#isV6 = isV6;
		this.port = socket.address().port;
		socket.on("error", () => {
			this.sendErrors += 1;
		});
	}

	/** @throws Error EADDRINUSE when the port is taken. */
	static async open(arena: Arena, port: number): Promise<DgramSocket> {
		try {
			return new DgramSocket(arena, await bind("udp6", port), true);
		} catch (failure) {
			if (!["EAFNOSUPPORT", "EADDRNOTAVAIL"].includes((failure as NodeJS.ErrnoException).code ?? "")) throw failure;
			return new DgramSocket(arena, await bind("udp4", port), false);
		}
	}

	start(datagram: (offset: number, bytes: number, from: Endpoint) => void): void {
		let last: Endpoint | null = null;
		let lastAddress = "";
		this.#socket.on("message", (message, { address, port }) => {
			const { at, bytes } = regions.received;
			if (this.#isClosed || message.length === 0 || message.length > bytes) return;
			if (last === null || last.port !== port || lastAddress !== address) {
				const parsed = endpointOf(address, port);
				if (parsed === null) return;
				// A v4 address reads `::ffff:a.b.c.d` on a socket for both.
				last = endpointFromBytes(parsed.bytes, null);
				lastAddress = address;
			}
			this.#arena.bytes.set(message, at);
			datagram(at, message.length, last);
		});
	}

	send(to: Endpoint, offset: number, bytes: number, segment: number): void {
		for (let at = 0; at < bytes; at += segment) {
			const from = offset + at;
			this.sendOther(to, this.#arena.bytes.slice(from, from + Math.min(segment, bytes - at)));
		}
	}

	sendOther(to: Endpoint, bytes: Uint8Array): void {
		if (this.#isClosed) return;
		if (this.#socket.getSendQueueSize() > maxQueuedBytes) {
			this.sendErrors += 1;
			return;
		}
		const isV4 = !to.address.includes(":");
		const address = isV4 && this.#isV6 ? `::ffff:${to.address}` : to.address;
		this.#socket.send(bytes, to.port, address, (failure) => {
			if (failure !== null) this.sendErrors += 1;
		});
	}

	close(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		this.#socket.close();
	}
}

function bind(type: "udp4" | "udp6", port: number): Promise<Socket> {
	return new Promise((resolve, reject) => {
		const family = type === "udp6" ? 6 : 4;
		const socket = createSocket({
			type,
			recvBufferSize: socketBufferBytes,
			sendBufferSize: socketBufferBytes,
			// Addresses are literals. Node's own look-up answers on the next tick, and ticks do not run after a callback of
			// koffi's poll: packets would wait there until something else happens.
			lookup: (address, _options, found) => found(null, address, family),
		});
		socket.once("error", (failure) => {
			socket.close();
			reject(failure);
		});
		socket.bind(port, () => {
			socket.removeAllListeners("error");
			resolve(socket);
		});
	});
}
