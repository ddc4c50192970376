import type { UdpEndpoint } from "@warren/kernel";
import { errors, type Libc, must, SystemCallError, u32Bytes } from "../linux/libc.ts";
import { type Poll, whenReadable } from "../linux/poll.ts";
import { setAddress } from "../linux/tun.ts";
import { type Endpoint, endpointOf } from "../protocol/endpoint.ts";
import { kindOf } from "../protocol/messages.ts";
import { udpFilter } from "./udp-filter.ts";
import { endpointOfSocketAddress, socketAddress } from "./wireguard-messages.ts";

const familyV4 = 2;
const familyV6 = 10;
const rawCloseOnExecNonBlocking = 3 | 0x80000 | 0x800;
const datagramCloseOnExec = 2 | 0x80000;
const protocolUdp = 17;
const levelSocket = 1;
const levelV6 = 41;
const attachFilter = 26;
const receiveBuffer = 8;
const v6Checksum = 7;
const v6Only = 26;
const receiveBufferBytes = 1024 * 1024;
const udpHeaderBytes = 8;
const checksumAt = 6;
const maxBytes = 65_535;
const filterBytes = 256;
const readsPerTurn = 16;
/** How long the own address towards another is believed. */
const sourceFreshMs = 1_000;
const maxSources = 1_024;

interface Arrived {
	readonly bytes: Uint8Array;
	readonly from: UdpEndpoint;
}

/**
 * What is no WireGuard message on a port that the kernel's WireGuard holds: raw sockets get a copy of every datagram
 * that reaches this host, a filter within the kernel lets the others' through, and what is sent carries the port as its
 * source, so that a NAT on the way sees one socket. What the kernel gets of it, it drops.
 */
export class OtherDatagrams {
	sendErrors = 0;
	readonly #libc: Libc;
	readonly #port: number;
	readonly #now: () => number;
	readonly #v4: number;
	/** -1 where IPv6 is off. */
	readonly #v6: number;
	readonly #polls: Poll[] = [];
	/** The kernel is given their addresses: nothing may move or free them before it has read them. */
	readonly #filters: Uint8Array[] = [];
	readonly #buffer = new Uint8Array(maxBytes);
	readonly #sources = new Map<string, { readonly address: Uint8Array; readonly at: number }>();
	#isClosed = false;

	/** @param now monotonic ms. @throws SystemCallError without CAP_NET_RAW. */
	constructor(libc: Libc, port: number, now: () => number) {
		this.#libc = libc;
		this.#port = port;
		this.#now = now;
		this.#v4 = this.#open(familyV4);
		try {
			this.#v6 = this.#open(familyV6);
		} catch (failure) {
			if (!(failure instanceof SystemCallError) || failure.errno !== errors.EAFNOSUPPORT) {
				libc.close(this.#v4);
				throw failure;
			}
			this.#v6 = -1;
		}
	}

	start(datagram: (bytes: Uint8Array, from: UdpEndpoint) => void): void {
		for (const fd of [this.#v4, this.#v6].filter((each) => each >= 0))
			this.#polls.push(
				whenReadable(fd, () => {
					const arrived: Arrived[] = [];
					for (let count = 0; count < readsPerTurn && !this.#isClosed; count++) if (!this.#receive(fd, arrived)) break;
					// Node's ticks do not run after a callback of koffi's poll: what a handler begins would wait for something else.
					if (arrived.length > 0) setImmediate(() => arrived.forEach(({ bytes, from }) => datagram(bytes, from)));
				}),
			);
	}

	/** Leaves from the WireGuard port. The checksum of v6 is the kernel's work, of v4 ours. */
	send(to: UdpEndpoint, payload: Uint8Array): void {
		const endpoint = endpointOf(to.address, to.port);
		if (endpoint === null || this.#isClosed) return;
		const isV4 = !endpoint.address.includes(":");
		const fd = isV4 ? this.#v4 : this.#v6;
		const datagram = new Uint8Array(udpHeaderBytes + payload.length);
		const view = new DataView(datagram.buffer);
		view.setUint16(0, this.#port);
		view.setUint16(2, endpoint.port);
		view.setUint16(4, datagram.length);
		datagram.set(payload, udpHeaderBytes);
		const source = isV4 ? this.#sourceFor(endpoint) : null;
		if (source !== null) view.setUint16(checksumAt, checksumV4(source, endpoint.bytes.subarray(12, 16), datagram));
		const address = socketAddress(endpoint);
		// A raw socket of v6 takes the port for a protocol.
		address.fill(0, 2, 4);
		if (fd < 0 || Number(this.#libc.sendto(fd, datagram, datagram.length, 0, address, address.length)) < 0)
			this.sendErrors += 1;
	}

	close(): void {
		if (this.#isClosed) return;
		this.#isClosed = true;
		for (const poll of this.#polls) poll.close();
		for (const fd of [this.#v4, this.#v6]) if (fd >= 0) this.#libc.close(fd);
	}

	#open(family: number): number {
		const libc = this.#libc;
		const version = family === familyV4 ? 4 : 6;
		const call = `opening a raw socket of v${version}`;
		const fd = must(libc, libc.socket(family, rawCloseOnExecNonBlocking, protocolUdp), call);
		try {
			const filter = new Uint8Array(new ArrayBuffer(filterBytes));
			const instructions = udpFilter(version, this.#port);
			filter.set(instructions);
			this.#filters.push(filter);
			const program = new Uint8Array(16);
			program.set(u32Bytes(instructions.length / 8));
			setAddress(new DataView(program.buffer), 8, libc.addressOf(filter));
			must(libc, libc.setsockopt(fd, levelSocket, attachFilter, program, 16), "attaching a filter");
			libc.setsockopt(fd, levelSocket, receiveBuffer, u32Bytes(receiveBufferBytes), 4);
			if (version === 6) {
				libc.setsockopt(fd, levelV6, v6Only, u32Bytes(1), 4);
				must(libc, libc.setsockopt(fd, levelV6, v6Checksum, u32Bytes(checksumAt), 4), "asking for checksums");
			}
			return fd;
		} catch (failure) {
			libc.close(fd);
			throw failure;
		}
	}

	/** @returns whether there may be more. */
	#receive(fd: number, arrived: Arrived[]): boolean {
		const address = new Uint8Array(28);
		const read = Number(this.#libc.recvfrom(fd, this.#buffer, maxBytes, 0, address, u32Bytes(28)));
		if (read < 0) return false;
		const udp = fd === this.#v4 ? ((this.#buffer[0] as number) & 15) * 4 : 0;
		const payload = udp + udpHeaderBytes;
		if (read < payload) return true;
		// The sender's port stands in the header alone.
		address.set(this.#buffer.subarray(udp, udp + 2), 2);
		const from = endpointOfSocketAddress(fd === this.#v4 ? address.subarray(0, 16) : address);
		const length = Math.min(read, udp + (((this.#buffer[udp + 4] as number) << 8) | (this.#buffer[udp + 5] as number)));
		const bytes = this.#buffer.slice(payload, Math.max(payload, length));
		if (from !== null && from.port > 0 && kindOf(bytes) === "foreign") arrived.push({ bytes, from });
		return true;
	}

	/** Which of our addresses the system sends from; null = it does not say, and the checksum is left out. */
	#sourceFor(to: Endpoint): Uint8Array | null {
		const known = this.#sources.get(to.address);
		if (known !== undefined && this.#now() - known.at < sourceFreshMs) return known.address;
		const socket = this.#libc.socket(familyV4, datagramCloseOnExec, 0);
		if (socket < 0) return null;
		try {
			const own = new Uint8Array(28);
			const isKnown =
				this.#libc.connect(socket, socketAddress(to), 16) >= 0 &&
				this.#libc.getsockname(socket, own, u32Bytes(28)) >= 0;
			if (!isKnown) return null;
			if (this.#sources.size >= maxSources) this.#sources.clear();
			const address = own.slice(4, 8);
			this.#sources.set(to.address, { address, at: this.#now() });
			return address;
		} finally {
			this.#libc.close(socket);
		}
	}
}

/** RFC 768. @param datagram with its checksum zero. */
export function checksumV4(source: Uint8Array, destination: Uint8Array, datagram: Uint8Array): number {
	let sum = protocolUdp + datagram.length;
	for (const bytes of [source, destination, datagram])
		for (let at = 0; at < bytes.length; at += 2) sum += ((bytes[at] as number) << 8) | (bytes[at + 1] ?? 0);
	while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x1_0000);
	// Zero would say that there is none.
	return sum === 0xffff ? 0xffff : 0xffff - sum;
}
