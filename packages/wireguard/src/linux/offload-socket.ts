import { type Arena, regions } from "../engine/arena.ts";
import type { UdpIo } from "../engine/packet-io.ts";
import { type Endpoint, endpointFromBytes } from "../protocol/endpoint.ts";
import { errors, type Libc, must, SystemCallError, u32Bytes } from "./libc.ts";
import { type Poll, whenReadable } from "./poll.ts";
import { setAddress } from "./tun.ts";

const familyV4 = 2;
const familyV6 = 10;
const datagramCloseOnExec = 2 | 0x80000;
const levelSocket = 1;
const levelIp = 0;
const levelV6 = 41;
const levelUdp = 17;
const bindToDevice = 25;
const udpSegment = 103;
const udpGro = 104;
const v4PacketInfo = 8;
const v6PacketInfo = 50;
const v6ReceivePacketInfo = 49;
const dontWait = 0x40;
/** As wireguard-go asks for. */
const socketBufferBytes = 7 * 1024 * 1024;
/** How long a full send buffer may hold the data path before the train is dropped. */
const sendTimeoutUs = 50_000;
const receivesPerTurn = 16;
const retriedOneByOne: readonly number[] = [errors.EIO, errors.EINVAL, errors.EMSGSIZE, errors.EOPNOTSUPP];

/** Within the calls' region. */
const receiveCall = { message: 0, vector: 64, name: 96, control: 128, controlBytes: 128 } as const;
const sendCall = { message: 512, vector: 576, name: 608, control: 640 } as const;

export interface OffloadSocketOptions {
	readonly port: number;
	/** UDP_SEGMENT and UDP_GRO. */
	readonly offload: boolean;
	/** An interface outside which nothing is heard. */
	readonly device?: string;
}

/**
 * One UDP socket for v4 and v6, with the kernel's segmentation on both ways when it has it. Where v6 is off, v4 alone.
 */
export class OffloadSocket implements UdpIo {
	readonly port: number;
	hasSegmentation: boolean;
	hasGro = false;
	sendErrors = 0;
	readonly #libc: Libc;
	readonly #arena: Arena;
	readonly #base: number;
	readonly #family: number;
	readonly #segmentationLost: (errno: number) => void;
	#fd: number;
	#poll: Poll | undefined;
	#lastFrom: Endpoint | null = null;

	/** @throws SystemCallError when the port is taken. */
	constructor(libc: Libc, arena: Arena, options: OffloadSocketOptions, segmentationLost: (errno: number) => void) {
		this.#libc = libc;
		this.#arena = arena;
		this.#base = libc.addressOf(arena.bytes);
		this.#segmentationLost = segmentationLost;
		let fd = libc.socket(familyV6, datagramCloseOnExec, 0);
		this.#family = fd >= 0 ? familyV6 : familyV4;
		if (fd < 0) fd = must(libc, libc.socket(familyV4, datagramCloseOnExec, 0), "socket");
		this.#fd = fd;
		try {
			if (options.device !== undefined) {
				const name = new TextEncoder().encode(options.device);
				must(libc, libc.setsockopt(fd, levelSocket, bindToDevice, name, name.length), `binding to ${options.device}`);
			}
			this.port = this.#bind(options.port);
			const set = (level: number, name: number, value: number) =>
				libc.setsockopt(fd, level, name, u32Bytes(value), 4) >= 0;
			// The forced ones pass the system's limit, and need a privilege; the plain ones take what is allowed.
			if (!set(levelSocket, 32, socketBufferBytes)) set(levelSocket, 7, socketBufferBytes);
			if (!set(levelSocket, 33, socketBufferBytes)) set(levelSocket, 8, socketBufferBytes);
			const timeout = new Uint8Array(16);
			timeout.set(u32Bytes(sendTimeoutUs), 8);
			libc.setsockopt(fd, levelSocket, 21, timeout, 16);
			if (this.#family === familyV6) set(levelV6, v6ReceivePacketInfo, 1);
			else set(levelIp, v4PacketInfo, 1);
			this.hasSegmentation = options.offload && set(levelUdp, udpSegment, 0);
			this.hasGro = options.offload && set(levelUdp, udpGro, 1);
		} catch (failure) {
			libc.close(fd);
			throw failure;
		}
	}

	/**
	 * Calls `train` for what one read gave: `bytes` at `offset`, in datagrams of `segment` bytes, the last perhaps
	 * shorter; `turn` after a batch of reads.
	 */
	start(train: (offset: number, bytes: number, segment: number, from: Endpoint) => void, turn: () => void): void {
		const { at, bytes } = regions.received;
		this.#prepareReceive(at, bytes);
		this.#poll = whenReadable(this.#fd, () => {
			for (let count = 0; count < receivesPerTurn && this.#fd >= 0; count++) {
				const received = this.#receive();
				if (received < 0) break;
				if (received === 0) continue;
				const segment = this.#readControl(received);
				train(at, received, segment, this.#lastFrom as Endpoint);
			}
			turn();
		});
	}

	send(to: Endpoint, offset: number, bytes: number, segment: number): void {
		if (bytes <= segment) {
			if (!this.#sendOrForgetSource(to, offset, bytes, 0)) this.sendErrors += 1;
			return;
		}
		if (this.hasSegmentation) {
			if (this.#sendOrForgetSource(to, offset, bytes, segment)) return;
			const errno = this.#libc.errno();
			if (!retriedOneByOne.includes(errno)) {
				this.sendErrors += 1;
				return;
			}
			// EIO: a device on the way cannot checksum segments, and never will. The others mean this path alone, which
			// is narrower than a segment. Either way the train goes again one by one, so that nothing is lost.
			if (errno === errors.EIO || errno === errors.EOPNOTSUPP) {
				this.hasSegmentation = false;
				this.#segmentationLost(errno);
			}
		}
		for (let at = 0; at < bytes; at += segment)
			if (!this.#sendOrForgetSource(to, offset + at, Math.min(segment, bytes - at), 0)) this.sendErrors += 1;
	}

	sendOther(to: Endpoint, bytes: Uint8Array): void {
		const { at } = regions.single;
		if (bytes.length > regions.single.bytes) return void (this.sendErrors += 1);
		this.#arena.bytes.set(bytes, at);
		this.send(to, at, bytes.length, bytes.length);
	}

	close(): void {
		this.#poll?.close();
		this.#poll = undefined;
		if (this.#fd >= 0) this.#libc.close(this.#fd);
		this.#fd = -1;
	}

	#bind(port: number): number {
		const address = new Uint8Array(28);
		const view = new DataView(address.buffer);
		view.setUint16(0, this.#family, true);
		view.setUint16(2, port);
		const bytes = this.#family === familyV6 ? 28 : 16;
		if (this.#family === familyV6) this.#libc.setsockopt(this.#fd, levelV6, 26, u32Bytes(0), 4);
		if (this.#libc.bind(this.#fd, address, bytes) < 0)
			throw new SystemCallError(`binding UDP port ${port}`, this.#libc.errno());
		must(this.#libc, this.#libc.getsockname(this.#fd, address, u32Bytes(28)), "getsockname");
		return view.getUint16(2);
	}

	#prepareReceive(at: number, bytes: number): void {
		const { view } = this.#arena;
		setAddress(view, receiveCall.message, this.#base + receiveCall.name);
		setAddress(view, receiveCall.message + 16, this.#base + receiveCall.vector);
		setAddress(view, receiveCall.message + 24, 1);
		setAddress(view, receiveCall.message + 32, this.#base + receiveCall.control);
		setAddress(view, receiveCall.vector, this.#base + at);
		setAddress(view, receiveCall.vector + 8, bytes);
	}

	#receive(): number {
		const { view } = this.#arena;
		// The kernel writes the lengths that it used into these.
		view.setUint32(receiveCall.message + 8, 28, true);
		setAddress(view, receiveCall.message + 40, receiveCall.controlBytes);
		return Number(this.#libc.recvmsg(this.#fd, this.#base + receiveCall.message, dontWait));
	}

	/** @returns bytes a datagram; the sender is in `#lastFrom`. */
	#readControl(received: number): number {
		const { view, bytes } = this.#arena;
		let segment = received;
		let local = -1;
		let localFamily = 0;
		const end =
			receiveCall.control + Math.min(view.getUint32(receiveCall.message + 40, true), receiveCall.controlBytes);
		for (let at: number = receiveCall.control; at + 16 <= end; ) {
			const length = view.getUint32(at, true);
			if (length < 16) break;
			const level = view.getUint32(at + 8, true);
			const type = view.getUint32(at + 12, true);
			if (level === levelUdp && type === udpGro) segment = view.getUint32(at + 16, true);
			else if ((level === levelV6 && type === v6PacketInfo) || (level === levelIp && type === v4PacketInfo)) {
				local = at + 16;
				localFamily = level;
			}
			at += (length + 7) & ~7;
		}
		const from = new Uint8Array(18);
		const name = receiveCall.name;
		const isV6 = view.getUint16(name, true) === familyV6;
		if (isV6) from.set(bytes.subarray(name + 8, name + 24));
		else {
			from[10] = from[11] = 0xff;
			from.set(bytes.subarray(name + 4, name + 8), 12);
		}
		from[16] = bytes[name + 2] as number;
		from[17] = bytes[name + 3] as number;
		const own = new Uint8Array(16);
		let interfaceIndex = 0;
		if (local >= 0 && localFamily === levelV6) {
			own.set(bytes.subarray(local, local + 16));
			interfaceIndex = view.getUint32(local + 16, true);
		} else if (local >= 0) {
			own[10] = own[11] = 0xff;
			own.set(bytes.subarray(local + 8, local + 12), 12);
			interfaceIndex = view.getUint32(local, true);
		}
		const last = this.#lastFrom;
		if (last === null || !equal(last.bytes, from) || last.local === null || !equal(last.local.address, own))
			this.#lastFrom = endpointFromBytes(from, local < 0 ? null : { address: own, interfaceIndex });
		return segment > 0 ? segment : received;
	}

	/** The own address that a peer was heard on may be gone: the system then chooses another. */
	#sendOrForgetSource(to: Endpoint, offset: number, length: number, segment: number): boolean {
		if (this.#sendOne(to, offset, length, segment)) return true;
		return to.local !== null && this.#sendOne({ ...to, local: null }, offset, length, segment);
	}

	#sendOne(to: Endpoint, offset: number, length: number, segment: number): boolean {
		const { view, bytes } = this.#arena;
		if (offset < 0 || length < 0 || offset + length > bytes.length)
			throw new RangeError(`A datagram of ${length} bytes at ${offset} lies outside the arena.`);
		// It has no address of v6: what would fit would be somebody else's.
		if (this.#family === familyV4 && !isMapped(to.bytes)) return false;
		const { name, message, vector } = sendCall;
		bytes.fill(0, name, name + 28);
		view.setUint16(name, this.#family, true);
		bytes[name + 2] = to.bytes[16] as number;
		bytes[name + 3] = to.bytes[17] as number;
		if (this.#family === familyV6) {
			bytes.set(to.bytes.subarray(0, 16), name + 8);
			// Scope of a link-local address: the interface that it was heard on.
			if (isLinkLocal(to.bytes) && to.local !== null) view.setUint32(name + 24, to.local.interfaceIndex, true);
		}
		if (this.#family === familyV4) bytes.set(to.bytes.subarray(12, 16), name + 4);
		setAddress(view, message, this.#base + name);
		view.setUint32(message + 8, this.#family === familyV6 ? 28 : 16, true);
		setAddress(view, message + 16, this.#base + vector);
		setAddress(view, message + 24, 1);
		setAddress(view, vector, this.#base + offset);
		setAddress(view, vector + 8, length);
		let control: number = sendCall.control;
		if (segment > 0) {
			setAddress(view, control, 18);
			view.setUint32(control + 8, levelUdp, true);
			view.setUint32(control + 12, udpSegment, true);
			view.setUint16(control + 16, segment, true);
			control += 24;
		}
		if (to.local !== null) control = this.#writeLocal(control, to.local);
		const used = control - sendCall.control;
		setAddress(view, message + 32, used === 0 ? 0 : this.#base + sendCall.control);
		setAddress(view, message + 40, used);
		view.setUint32(message + 48, 0, true);
		return this.#libc.sendmsg(this.#fd, this.#base + message, 0) >= 0;
	}

	/** The answer leaves from the address that the question reached. */
	#writeLocal(control: number, local: NonNullable<Endpoint["local"]>): number {
		const { view, bytes } = this.#arena;
		if (this.#family === familyV6) {
			setAddress(view, control, 36);
			view.setUint32(control + 8, levelV6, true);
			view.setUint32(control + 12, v6PacketInfo, true);
			bytes.set(local.address, control + 16);
			// Only a link-local address needs its interface named; naming it otherwise would pin the route.
			view.setUint32(control + 32, isLinkLocal(local.address) ? local.interfaceIndex : 0, true);
			return control + 40;
		}
		setAddress(view, control, 28);
		view.setUint32(control + 8, levelIp, true);
		view.setUint32(control + 12, v4PacketInfo, true);
		view.setUint32(control + 16, 0, true);
		bytes.set(local.address.subarray(12), control + 20);
		view.setUint32(control + 24, 0, true);
		return control + 32;
	}
}

function isLinkLocal(address: Uint8Array): boolean {
	return address[0] === 0xfe && ((address[1] as number) & 0xc0) === 0x80;
}

/** A v4 address in v6. */
function isMapped(address: Uint8Array): boolean {
	for (let at = 0; at < 10; at++) if (address[at] !== 0) return false;
	return address[10] === 0xff && address[11] === 0xff;
}

function equal(a: Uint8Array, b: Uint8Array): boolean {
	for (let at = 0; at < a.length; at++) if (a[at] !== b[at]) return false;
	return true;
}
