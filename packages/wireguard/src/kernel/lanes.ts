import type { UdpEndpoint } from "@warren/kernel";
import { newArena, regions } from "../engine/arena.ts";
import type { Libc } from "../linux/libc.ts";
import { OffloadSocket } from "../linux/offload-socket.ts";
import { type Endpoint, endpointOf } from "../protocol/endpoint.ts";

/** 127.64.0.1 to 127.127.255.255: a peer's own address on the loopback interface, which all of 127/8 is. */
const firstLane = 1;
const maxLanes = 2 ** 22 - 1;

/**
 * Where the kernel's WireGuard sends what must not leave by UDP: each peer has an address of the loopback interface, one
 * socket holds them all, and what comes for one is that peer's. The same way back, the kernel takes the address for
 * where the peer is.
 */
export class Lanes {
	readonly #arena = newArena();
	readonly #socket: OffloadSocket;
	readonly #kernel: Endpoint;
	#next = firstLane;
	readonly #used = new Map<number, Uint8Array>();

	/** @param kernelPort of WireGuard itself. @throws SystemCallError. */
	constructor(libc: Libc, kernelPort: number) {
		this.#kernel = endpointOf("127.0.0.1", kernelPort) as Endpoint;
		this.#socket = new OffloadSocket(libc, this.#arena, { port: 0, offload: false, device: "lo" }, () => {});
	}

	/** @param datagram what the kernel sends to a peer; the bytes are the handler's own. */
	start(datagram: (publicKey: Uint8Array, bytes: Uint8Array) => void): void {
		let arrived: { readonly key: Uint8Array; readonly bytes: Uint8Array }[] = [];
		this.#socket.start(
			(at, bytes, segmentBytes, from) => {
				// Another program of this host may send here; it is not the kernel, whose port it cannot have.
				if (from.port !== this.#kernel.port || from.address !== this.#kernel.address || from.local === null) return;
				const key = this.#used.get(laneOf(from.local.address));
				if (key === undefined) return;
				for (let offset = at; offset < at + bytes; offset += segmentBytes)
					arrived.push({ key, bytes: this.#arena.bytes.slice(offset, Math.min(offset + segmentBytes, at + bytes)) });
			},
			() => {
				if (arrived.length === 0) return;
				const taken = arrived;
				arrived = [];
				// Outside of koffi's poll, after whose callbacks Node's ticks do not run.
				setImmediate(() => taken.forEach(({ key, bytes }) => datagram(key, bytes)));
			},
		);
	}

	/** A lane of its own for a peer, as an endpoint for the kernel; it must be given back. */
	open(publicKey: Uint8Array): Lane {
		while (this.#used.has(this.#next)) this.#next = (this.#next % maxLanes) + 1;
		const number = this.#next;
		this.#next = (number % maxLanes) + 1;
		this.#used.set(number, publicKey);
		const address = `127.${64 + (number >>> 16)}.${(number >>> 8) & 255}.${number & 255}`;
		const endpoint = endpointOf(address, this.#socket.port) as Endpoint;
		const from = { address: endpoint.bytes.subarray(0, 16), interfaceIndex: 0 };
		return {
			endpoint,
			toKernel: (bytes) => {
				const { at, bytes: room } = regions.train;
				if (bytes.length === 0 || bytes.length > room) return;
				// Not the region that is read into: a handler may call this while it still looks there.
				this.#arena.bytes.set(bytes, at);
				this.#socket.send({ ...this.#kernel, local: from }, at, bytes.length, bytes.length);
			},
			close: () => void this.#used.delete(number),
		};
	}

	/** Whether an endpoint is a lane, whoever's. */
	isLane({ address, port }: UdpEndpoint): boolean {
		return port === this.#socket.port && address.startsWith("127.");
	}

	close(): void {
		this.#socket.close();
	}
}

export interface Lane {
	readonly endpoint: Endpoint;
	/** A sealed datagram that came another way. */
	readonly toKernel: (bytes: Uint8Array) => void;
	close(): void;
}

/** @param address 16 bytes, v4 mapped. */
function laneOf(address: Uint8Array): number {
	const [high = 0, middle = 0, low = 0] = address.subarray(13, 16);
	return ((high - 64) << 16) | (middle << 8) | low;
}
