import { type Arena, regions, virtioHeaderBytes } from "../engine/arena.ts";
import type { TunIo } from "../engine/packet-io.ts";
import type { Cidr } from "../protocol/cidr.ts";
import { configureInterface, interfaceRequest, nameBytes } from "./interface.ts";
import { errors, type Libc, must, SystemCallError } from "./libc.ts";
import { type Poll, whenReadable } from "./poll.ts";
import { limitSegments } from "./segment-limit.ts";

const readWriteNonBlocking = 0x2 | 0x800;
const tunSetInterface = 0x400454ca;
const tunSetOffload = 0x400454d0;
const isTun = 0x1;
const noPacketInfo = 0x1000;
const virtioHeader = 0x4000;
/** Checksums, TCP over v4 and over v6; then also UDP segmentation (Linux 6.2). */
const tcpOffloads = 0x7;
const allOffloads = 0x67;
/** Reads in one turn of the event loop: sockets and timers wait no longer than that. */
const readsPerTurn = 16;

export interface TunOptions {
	readonly name: string;
	readonly mtu: number;
	readonly addresses: readonly Cidr[];
	/** Ask for the virtio header and segmentation; refused ones are not an error, see `hasOffload`. */
	readonly offload: boolean;
}

/** A TUN interface, up, with its addresses. It is gone with its descriptor. */
export class Tun implements TunIo {
	readonly name: string;
	readonly hasOffload: boolean;
	/** The kernel hands super-packets over whole; else it cuts them itself, which costs speed alone. */
	readonly hasSegmentation: boolean;
	writeErrors = 0;
	readonly #libc: Libc;
	readonly #arena: Arena;
	readonly #base: number;
	#fd: number;
	#poll: Poll | undefined;
	#packet: (offset: number, length: number) => void = () => {};
	#isGone = false;

	/** @throws SystemCallError when the host has no TUN, refuses it, or the name is taken. */
	constructor(libc: Libc, arena: Arena, options: TunOptions) {
		this.#libc = libc;
		this.#arena = arena;
		this.#base = libc.addressOf(arena.bytes);
		this.#fd = must(libc, libc.open("/dev/net/tun", readWriteNonBlocking), "open /dev/net/tun");
		try {
			this.hasOffload = options.offload && this.#attach(options.name, isTun | noPacketInfo | virtioHeader);
			if (!this.hasOffload && !this.#attach(options.name, isTun | noPacketInfo))
				throw new SystemCallError(`TUNSETIFF ${options.name}`, libc.errno());
			this.name = options.name;
			const accepts = (offloads: number) => libc.ioctlNumber(this.#fd, tunSetOffload, offloads) >= 0;
			this.hasSegmentation = this.hasOffload && (accepts(allOffloads) || accepts(tcpOffloads));
			if (this.hasOffload && !this.hasSegmentation) accepts(0);
			const index = configureInterface(libc, options);
			if (this.hasOffload) limitSegments(libc, index, options.mtu);
		} catch (failure) {
			libc.close(this.#fd);
			throw failure;
		}
	}

	/**
	 * Calls `packet` for each one read, which lies in the TUN region behind its virtio header; `turn` after a batch;
	 * `lost` once, when somebody has removed the interface.
	 */
	start(packet: (offset: number, length: number) => void, turn: () => void, lost: () => void): void {
		this.#packet = packet;
		this.#poll = whenReadable(this.#fd, () => {
			this.drain();
			// It would be readable for ever.
			if (this.#isGone) {
				this.close();
				return lost();
			}
			turn();
		});
	}

	/** Reads what is there, up to a batch. @returns whether there was anything. */
	drain(): boolean {
		const header = this.hasOffload ? virtioHeaderBytes : 0;
		const { at, bytes } = regions.tun;
		const address = this.#base + at;
		let count = 0;
		for (; count < readsPerTurn && this.#fd >= 0; count++) {
			const read = Number(this.#libc.read(this.#fd, address, bytes));
			if (read < 0 && this.#isLost(this.#libc.errno())) this.#isGone = true;
			if (read <= header) break;
			this.#packet(at + header, read - header);
		}
		return count > 0;
	}

	write(offset: number, length: number): void {
		this.#bound(offset, length);
		if (this.#fd < 0) return;
		if (this.#libc.write(this.#fd, this.#base + offset, length) < 0) this.writeErrors += 1;
	}

	writePieces(pieces: readonly number[]): void {
		if (this.#fd < 0) return;
		const { view } = this.#arena;
		const vectors = regions.calls.at + 4096;
		for (let at = 0; at < pieces.length; at += 2) {
			const offset = pieces[at] as number;
			const length = pieces[at + 1] as number;
			this.#bound(offset, length);
			const vector = vectors + at * 8;
			setAddress(view, vector, this.#base + offset);
			setAddress(view, vector + 8, length);
		}
		if (this.#libc.writev(this.#fd, this.#base + vectors, pieces.length / 2) < 0) this.writeErrors += 1;
	}

	close(): void {
		this.#poll?.close();
		this.#poll = undefined;
		if (this.#fd >= 0) this.#libc.close(this.#fd);
		this.#fd = -1;
	}

	#isLost(errno: number): boolean {
		return errno === errors.EBADFD || errno === errors.ENODEV;
	}

	#bound(offset: number, length: number): void {
		if (offset < 0 || length < 0 || offset + length > this.#arena.bytes.length)
			throw new RangeError(`A packet of ${length} bytes at ${offset} lies outside the arena.`);
	}

	#attach(name: string, flags: number): boolean {
		const request = interfaceRequest(name);
		new DataView(request.buffer).setUint16(nameBytes, flags, true);
		return this.#libc.ioctl(this.#fd, tunSetInterface, request) >= 0;
	}
}

/** Addresses below 2^53 as 64 bits. */
export function setAddress(view: DataView, offset: number, value: number): void {
	view.setUint32(offset, value >>> 0, true);
	view.setUint32(offset + 4, Math.floor(value / 0x1_0000_0000), true);
}
