import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { lookup as lookupName } from "node:dns";
import { connect, isIP, type LookupFunction, type Socket, SocketAddress } from "node:net";
import type { Clock, Span, Timer } from "@warren/kernel";
import { type OpenRequest, ResetCode } from "../protocol/frames.ts";
import { proxyLine } from "../protocol/proxy-protocol.ts";
import type { StreamUser, TunnelLink } from "../tunnel/link.ts";
import { bytesRead } from "./bytes-read.ts";

export interface Target {
	readonly host: string;
	readonly port: number;
	/** Say who connects, on the connection's first line (PROXY protocol v1). TCP streams alone. */
	readonly proxyProtocol: boolean;
}

const connectTimeoutMs = 10_000;
const udpIdleMs = 60_000;

export const udpTargetLimits = {
	/** A target's name is looked up once for all datagrams, and anew after so long. */
	lookUpMs: 30_000,
	/** Datagrams of one stream that wait for the first look-up. */
	maxWaitingBytes: 64 * 1024,
	/** …and how many: an empty one has no bytes. */
	maxWaiting: 1024,
} as const;

/** One stream's connection to the target: bytes are copied both ways, at the pace of the slower side. */
export class TargetStream implements StreamUser {
	readonly #link: TunnelLink;
	readonly #socket: Socket;
	#connecting: Timer | null;
	#failed = false;
	/** Of the connection's beginning: what passes through it is not read here. */
	readonly #span: Span | null;

	constructor(link: TunnelLink, open: OpenRequest, target: Target, clock: Clock, span: Span | null = null) {
		this.#link = link;
		this.#span = span;
		const socket = connect({
			...{ host: target.host, port: target.port, allowHalfOpen: true, noDelay: true },
			onread: bytesRead((bytes) => {
				if (!link.write(bytes)) socket.pause();
			}),
		});
		this.#socket = socket;
		this.#connecting = clock.after(connectTimeoutMs, () => this.#fail(ResetCode.timeout, "the target did not answer"));
		socket.on("connect", () => {
			this.#connecting?.cancel();
			this.#connecting = null;
			this.#endSpan(null);
		});
		socket.on("drain", () => link.resume());
		socket.on("end", () => {
			if (link.user === this) link.end();
		});
		socket.on("error", (fault: NodeJS.ErrnoException) =>
			this.#fail(this.#connecting === null ? ResetCode.targetLost : ResetCode.refused, fault.message),
		);
		socket.on("close", () => this.#fail(ResetCode.targetLost, "the target closed"));
		if (target.proxyProtocol && open.client !== undefined) socket.write(proxyLine(open.client, open.local));
	}

	onData(piece: Buffer): void {
		if (!this.#socket.write(piece)) this.#link.pause();
	}

	onEnd(): void {
		this.#socket.end();
	}

	onBroken(): void {
		this.#failed = true;
		this.#connecting?.cancel();
		this.#endSpan(ResetCode.cancelled);
		this.#socket.resetAndDestroy();
	}

	onDrain(): void {
		if (this.#socket.isPaused()) this.#socket.resume();
	}

	#fail(code: FaultCode, reason: string): void {
		this.#connecting?.cancel();
		this.#connecting = null;
		if (this.#failed) return;
		this.#failed = true;
		this.#endSpan(code);
		// After both directions have ended the link is somebody else's.
		if (this.#link.user === this) this.#link.reset(code, reason);
		this.#socket.destroy();
	}

	#endSpan(code: FaultCode | null): void {
		endConnect(this.#span, code);
	}
}

const faults = { 1: "cancelled", 2: "refused", 3: "timeout", 4: "target_lost", 5: "protocol", 6: "limit" } as const;
type FaultCode = keyof typeof faults;

/** The first word counts: a connection that stood once has been made. */
function endConnect(span: Span | null, code: FaultCode | null): void {
	span?.end({
		name: "connect service",
		attributes: { "warren.role": "agent", ...(code === null ? {} : { "error.type": faults[code] }) },
	});
}

/** A visitor's datagrams: one DATA frame each. */
export class UdpTargetStream implements StreamUser {
	readonly #link: TunnelLink;
	/** Null until the target's name was looked up. */
	#socket: UdpSocket | null = null;
	readonly #target: Target;
	readonly #clock: Clock;
	#parts: Buffer[] = [];
	#idle: Timer;
	#closed = false;
	/** Until the first datagram goes out. */
	#span: Span | null;
	readonly #lookup: LookupFunction;
	/** Null until the target's name was looked up. */
	#address: string | null = null;
	/** The same, as the system writes it in what comes from there. */
	#answersFrom: string | null = null;
	/** Monotonic; when that is due again. Never for a target that has no name. */
	#lookUpAt = Number.POSITIVE_INFINITY;
	#waiting: Buffer[] = [];
	#waitingBytes = 0;

	constructor(
		link: TunnelLink,
		target: Target,
		clock: Clock,
		span: Span | null = null,
		lookup: LookupFunction = lookupName,
	) {
		this.#link = link;
		this.#lookup = lookup;
		this.#span = span;
		this.#target = target;
		this.#clock = clock;
		this.#idle = this.#armIdle();
		if (isIP(target.host) === 0) this.#lookUp();
		else this.#found(target.host);
	}

	#lookUp(): void {
		this.#lookUpAt = this.#clock.monotonic() + udpTargetLimits.lookUpMs;
		// A service that takes datagrams at one of "localhost"'s addresses alone takes them at the older.
		this.#lookup(this.#target.host, { order: "ipv4first" }, (fault, address) => {
			if (this.#closed) return;
			if (fault === null) this.#found(address as string);
			// One that was found before serves on.
			else if (this.#address === null) return this.#close(ResetCode.targetLost, fault.message);
			for (const datagram of this.#waiting.splice(0)) this.#send(datagram);
		});
	}

	#found(address: string): void {
		const before = this.#address;
		this.#address = address;
		this.#answersFrom = sourceOf(address);
		if (before !== null && isIP(before) === isIP(address)) return;
		this.#socket?.close();
		this.#socket = this.#openSocket(isIP(address) === 6 ? "udp6" : "udp4");
	}

	#openSocket(family: "udp4" | "udp6"): UdpSocket {
		const socket = createSocket(family);
		socket.on("message", (datagram, from) => {
			// The port is open to whoever guesses it: what others send is no answer of the target's.
			if (from.port !== this.#target.port || withoutZone(from.address) !== this.#answersFrom) return;
			this.#touch();
			// UDP drops rather than waits.
			if (this.#link.bufferedBytes < 1024 * 1024) this.#link.write(datagram);
		});
		socket.on("error", (fault) => this.#close(ResetCode.targetLost, fault.message));
		return socket;
	}

	onData(piece: Buffer, last: boolean): void {
		this.#touch();
		if (!last || this.#parts.length > 0) this.#parts.push(piece);
		if (!last) return;
		const datagram = this.#parts.length === 0 ? piece : Buffer.concat(this.#parts);
		this.#parts = [];
		if (this.#closed) return;
		if (this.#clock.monotonic() >= this.#lookUpAt) this.#lookUp();
		if (this.#address !== null) return this.#send(datagram);
		const { maxWaiting, maxWaitingBytes } = udpTargetLimits;
		if (this.#waiting.length >= maxWaiting || this.#waitingBytes + datagram.length > maxWaitingBytes) return;
		this.#waiting.push(datagram);
		this.#waitingBytes += datagram.length;
	}

	#send(datagram: Buffer): void {
		const host = this.#address as string;
		const socket = this.#socket as UdpSocket;
		const { port } = this.#target;
		if (this.#span === null) return socket.send(datagram, port, host);
		const span = this.#span;
		this.#span = null;
		socket.send(datagram, port, host, (fault) => {
			if (fault === null) endConnect(span, null);
			else {
				endConnect(span, ResetCode.targetLost);
				this.#close(ResetCode.targetLost, fault.message);
			}
		});
	}

	onEnd(): void {
		if (this.#link.user === this) this.#link.end();
		this.#close(ResetCode.cancelled, "over");
	}

	onBroken(): void {
		this.#close(ResetCode.cancelled, "over");
	}

	onDrain(): void {}

	#touch(): void {
		this.#idle.cancel();
		this.#idle = this.#armIdle();
	}

	#armIdle(): Timer {
		return this.#clock.after(udpIdleMs, () => this.#close(ResetCode.timeout, "idle"));
	}

	#close(code: FaultCode, reason: string): void {
		if (this.#closed) return;
		endConnect(this.#span, code);
		this.#closed = true;
		this.#idle.cancel();
		this.#waiting = [];
		this.#socket?.close();
		if (this.#link.user === this) this.#link.reset(code, reason);
	}
}

const withoutZone = (address: string): string => address.split("%")[0] as string;

/** Where answers come from that went to this address: in the system's spelling; from loopback where it means "this machine". */
function sourceOf(address: string): string {
	const family = isIP(address) === 6 ? "ipv6" : "ipv4";
	const source = new SocketAddress({ address: withoutZone(address), family }).address;
	return source === "0.0.0.0" ? "127.0.0.1" : source === "::" ? "::1" : source;
}
