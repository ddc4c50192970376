import { createSocket, type Socket as UdpSocket } from "node:dgram";
import { createServer, type Server, type Socket } from "node:net";
import {
	type Clock,
	type Closeable,
	type HealthTable,
	type Logger,
	messageOf,
	type Span,
	type Timer,
	type Tracer,
} from "@warren/kernel";
import { backboneError } from "../errors.ts";
import { ResetCode } from "../protocol/frames.ts";
import type { StreamUser } from "../tunnel/link.ts";
import { SocketStream } from "../tunnel/socket-stream.ts";
import type { Lease } from "./agents/agent.ts";
import type { AgentPool } from "./agents/agent-pool.ts";
import { serviceWithoutPort } from "./conditions.ts";
import type { Front } from "./front.ts";
import { Pace } from "./pace.ts";
import type { ActiveService, Services } from "./services.ts";
import { carried, endStreamSpan } from "./stream-span.ts";

export const streamLimits = {
	maxConnectionsPerService: 4096,
	maxUdpClients: 4096,
	udpIdleMs: 60_000,
	/** Bytes of a visitor that wait for a link. */
	maxWaitingBytes: 64 * 1024,
	/** …and how many: an empty datagram has no bytes. */
	maxWaiting: 1024,
	maxUdpBacklogBytes: 1024 * 1024,
	/** A port that somebody else has is tried again this often. */
	retryMs: 5_000,
} as const;

export interface StreamPortsDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly health: HealthTable;
	readonly services: Services;
	readonly pool: AgentPool;
	readonly front: () => Front;
	/** Null = nobody asked for traces. */
	readonly tracer: Tracer | null;
}

interface Standing {
	readonly kind: string;
	readonly port: number;
	readonly opened: OpenPort;
}

interface OpenPort extends Closeable {
	/** Cuts those that may no longer come. */
	readonly recheck?: (service: ActiveService) => void;
}

/** Ports of services that have one: allotted from a range for TCP and UDP, chosen for HTTP; kept over restarts. */
export class StreamPorts implements Closeable {
	readonly #deps: StreamPortsDeps;
	readonly #host: string | undefined;
	readonly #range: readonly [number, number];
	readonly #standing = new Map<string, Standing>();
	#watch: Closeable | undefined;
	/** Services without their port, and why. */
	readonly #failing = new Map<string, { readonly fault: string; readonly retry: Timer }>();
	#closed = false;
	/** One change after the other. */
	#work: Promise<void> = Promise.resolve();

	constructor(deps: StreamPortsDeps, host: string | undefined, range: readonly [number, number]) {
		this.#deps = deps;
		this.#host = host;
		this.#range = range;
	}

	async open(): Promise<void> {
		for (const service of this.#deps.services.list()) await this.ready(service.name);
		this.#watch = this.#deps.services.watch((name) => void this.ready(name));
	}

	/** Resolves when the service has its port, or none is due; where it cannot be had now, it is tried again later. */
	ready(name: string): Promise<void> {
		this.#work = this.#work
			.then(() => this.#sync(name))
			.then(
				() => this.#settled(name, null),
				(fault: unknown) => this.#settled(name, messageOf(fault)),
			);
		return this.#work;
	}

	#settled(name: string, fault: string | null): void {
		const before = this.#failing.get(name);
		before?.retry.cancel();
		this.#failing.delete(name);
		const { clock, logger, health } = this.#deps;
		if (fault === null || this.#closed) return health.clear(serviceWithoutPort, name);
		health.raise(serviceWithoutPort, { service: name, fault }, name);
		if (before?.fault !== fault) logger.error("a service has no port", { service: name, fault });
		this.#failing.set(name, { fault, retry: clock.after(streamLimits.retryMs, () => void this.ready(name)) });
	}

	portOf(name: string): number | null {
		return this.#standing.get(name)?.port ?? null;
	}

	/** @throws WarrenError `conflict` when the service could not have that port on this machine now. */
	async check(service: ActiveService, port: number): Promise<void> {
		if (this.portOf(service.name) === port) return;
		try {
			const { opened } = await this.#open(service, port);
			await opened.close();
		} catch (fault) {
			throw backboneError("conflict", `Port ${port} cannot be had: ${messageOf(fault)}.`, {
				fix: "Choose another one, or end what has it.",
			});
		}
	}

	async close(): Promise<void> {
		this.#closed = true;
		void this.#watch?.close();
		for (const { retry } of this.#failing.values()) retry.cancel();
		await this.#work;
		for (const { opened } of this.#standing.values()) await opened.close();
		this.#standing.clear();
	}

	async #sync(name: string): Promise<void> {
		const service = this.#deps.services.get(name);
		const standing = this.#standing.get(name);
		const due =
			service !== null && (isStream(service) ? service.settings.requireIdentity !== true : service.port !== null);
		if (
			standing !== undefined &&
			due &&
			standing.kind === service.kind &&
			(service.port === null || service.port === standing.port)
		) {
			standing.opened.recheck?.(service);
			return;
		}
		if (standing !== undefined) {
			this.#standing.delete(name);
			await standing.opened.close();
		}
		if (!due) return;
		const opened = service.port === null ? await this.#allot(service) : await this.#open(service, service.port);
		this.#standing.set(name, { kind: service.kind, ...opened });
		if (service.port === null) await this.#deps.services.allot(name, opened.port);
	}

	async #allot(service: ActiveService): Promise<{ port: number; opened: OpenPort }> {
		const [first, last] = this.#range;
		const taken = new Set(this.#deps.services.list().map((each) => each.port));
		for (let port = first; port <= last; port++) {
			if (port !== 0 && taken.has(port)) continue;
			try {
				return await this.#open(service, port);
			} catch (fault) {
				if ((fault as NodeJS.ErrnoException).code !== "EADDRINUSE") throw fault;
			}
		}
		throw backboneError("no_ports", `No port of ${first} to ${last} is free for "${service.name}".`);
	}

	async #open(service: ActiveService, port: number): Promise<{ port: number; opened: OpenPort }> {
		if (service.kind === "udp") return this.#openUdp(service, port);
		if (service.kind !== "tcp") {
			const opened = await this.#deps.front().listen(this.#host, port, service.name);
			return { port: opened.port, opened };
		}
		const sockets = new Set<Socket>();
		const server: Server = createServer({ allowHalfOpen: true, noDelay: true, pauseOnConnect: true }, (socket) => {
			sockets.add(socket);
			socket.once("close", () => sockets.delete(socket));
			this.#accept(service.name, socket);
		});
		server.maxConnections = streamLimits.maxConnectionsPerService;
		await new Promise<void>((resolve, reject) => {
			server.once("error", reject);
			server.listen({ port, ...(this.#host === undefined ? {} : { host: this.#host }) }, () => resolve());
		});
		server.on("error", (fault) => this.#deps.front().fault("the listener failed", fault));
		return {
			port: (server.address() as { port: number }).port,
			opened: {
				recheck: ({ admits }) => {
					const front = this.#deps.front();
					for (const socket of sockets) if (!admits(front.addressOf(socket))) socket.resetAndDestroy();
				},
				close: () =>
					new Promise<void>((resolve) => {
						server.close(() => resolve());
						for (const socket of sockets) socket.destroy();
					}),
			},
		};
	}

	#accept(name: string, socket: Socket): void {
		const service = this.#deps.services.get(name);
		const address = this.#deps.front().addressOf(socket);
		socket.on("error", () => socket.destroy());
		if (service === null || !service.admits(address) || (service.requests?.take("") ?? 0) > 0)
			return void socket.resetAndDestroy();
		// Bytes of a bare port name no trace: it begins here.
		const span = this.#deps.tracer?.begin(undefined) ?? null;
		takeLink(this.#deps.pool, name, (lease) => {
			if (lease === null || socket.destroyed) {
				if (lease !== null) lease.agent.onIdle(lease.link);
				endStreamSpan(span, "tcp", name, lease === null ? "no_agent" : "cancelled");
				return void socket.resetAndDestroy();
			}
			const stream = new SocketStream(socket, lease.link, {
				throttle: service.throttle,
				clock: this.#deps.clock,
				refused: () => (lease.agent.refusals += 1),
			});
			lease.link.open(
				{
					kind: "tcp",
					client: { address, port: socket.remotePort ?? 0 },
					local: { address: socket.localAddress?.replace(/^::ffff:/, "") ?? "", port: socket.localPort ?? 0 },
					...carried(span),
				},
				stream,
			);
			endStreamSpan(span, "tcp", name, null);
			socket.resume();
		});
	}

	async #openUdp(service: ActiveService, port: number): Promise<{ port: number; opened: OpenPort }> {
		const socket = createSocket({ type: this.#host?.includes(":") === false ? "udp4" : "udp6", ipv6Only: false });
		await new Promise<void>((resolve, reject) => {
			// One that got no port is open all the same.
			socket.once("error", (fault) => socket.close(() => reject(fault)));
			socket.bind({ port, ...(this.#host === undefined ? {} : { address: this.#host }) }, () => {
				socket.removeAllListeners("error");
				resolve();
			});
		});
		socket.on("error", (fault) =>
			this.#deps.logger.warn("a UDP port failed", { service: service.name, fault: fault.message }),
		);
		const clients = new Map<string, UdpClient>();
		socket.on("message", (datagram, { address, port: from }) => {
			// Nothing can be sent to port 0: Node throws.
			if (from === 0) return;
			const key = `${address} ${from}`;
			const known = clients.get(key);
			if (known !== undefined) return known.datagram(datagram);
			const current = this.#deps.services.get(service.name);
			if (current === null || clients.size >= streamLimits.maxUdpClients) return;
			if (!current.admits(address.replace(/^::ffff:/, "")) || (current.requests?.take("") ?? 0) > 0) return;
			const { clock } = this.#deps;
			const pace = Pace.of(clock, current.throttle, null);
			const client = new UdpClient({ socket, address, port: from, clock, pace }, () => clients.delete(key));
			clients.set(key, client);
			client.datagram(datagram);
			const span = this.#deps.tracer?.begin(undefined) ?? null;
			takeLink(this.#deps.pool, service.name, (lease) =>
				endStreamSpan(span, "udp", service.name, client.leased(lease, span)),
			);
		});
		return {
			port: socket.address().port,
			opened: {
				recheck: ({ admits }) => {
					for (const client of [...clients.values()]) if (!admits(client.address)) client.close();
				},
				close: () =>
					new Promise<void>((resolve) => {
						for (const client of [...clients.values()]) client.close();
						socket.close(() => resolve());
					}),
			},
		};
	}
}

/** A bare port tells nobody who calls: a stream that requires identity has none, and is reached by `warren forward`. */
function isStream(service: ActiveService): boolean {
	return service.kind === "tcp" || service.kind === "udp";
}

/** A link now, or as soon as one is there; null when none comes. */
export function takeLink(pool: AgentPool, service: string, taken: (lease: Lease | null) => void): void {
	const agents = pool.of(service);
	const lease = agents.take(false);
	if (lease !== null) return taken(lease);
	if (agents.wait(false, taken) === null) taken(null);
}

interface UdpSource {
	/** The service's port. */
	readonly socket: UdpSocket;
	/** Where the datagrams come from. */
	readonly address: string;
	readonly port: number;
	readonly clock: Clock;
	/** What is beyond it is dropped, either way. */
	readonly pace: Pace | null;
}

/** One address and port that sends datagrams; its stream lasts while it does. */
class UdpClient implements StreamUser {
	readonly #source: UdpSource;
	readonly #gone: () => void;
	#lease: Lease | null = null;
	#waiting: Buffer[] = [];
	#waitingBytes = 0;
	#parts: Buffer[] = [];
	#heardAt: number;
	#closed = false;
	#idle: Timer;

	constructor(source: UdpSource, gone: () => void) {
		this.#source = source;
		this.#gone = gone;
		this.#heardAt = source.clock.monotonic();
		this.#idle = this.#watchIdle();
	}

	datagram(bytes: Buffer): void {
		this.#heardAt = this.#source.clock.monotonic();
		const link = this.#lease?.link;
		if (link !== undefined) {
			// UDP drops rather than waits.
			if (link.bufferedBytes < streamLimits.maxUdpBacklogBytes && this.#source.pace?.admits(bytes.length) !== false)
				link.write(bytes);
			return;
		}
		const { maxWaiting, maxWaitingBytes } = streamLimits;
		if (this.#waiting.length >= maxWaiting || this.#waitingBytes + bytes.length > maxWaitingBytes) return;
		this.#waiting.push(bytes);
		this.#waitingBytes += bytes.length;
	}

	/** @returns why it has no stream; null = it has one. */
	leased(lease: Lease | null, span: Span | null): "no_agent" | "cancelled" | null {
		if (lease === null || this.#closed) {
			if (lease !== null) lease.agent.onIdle(lease.link);
			this.close();
			return lease === null ? "no_agent" : "cancelled";
		}
		this.#lease = lease;
		const { address, port } = this.#source;
		lease.link.open({ kind: "udp", client: { address, port }, ...carried(span) }, this);
		for (const each of this.#waiting.splice(0)) lease.link.write(each);
		return null;
	}

	/** As services judge it. */
	get address(): string {
		return this.#source.address.replace(/^::ffff:/, "");
	}

	close(): void {
		if (this.#closed) return;
		this.#closed = true;
		this.#idle.cancel();
		this.#waiting = [];
		this.#gone();
		const link = this.#lease?.link;
		if (link !== undefined && link.user === this) link.reset(ResetCode.cancelled, "idle");
	}

	onData(piece: Buffer, last: boolean): void {
		this.#heardAt = this.#source.clock.monotonic();
		if (!last || this.#parts.length > 0) this.#parts.push(piece);
		if (!last) return;
		const datagram = this.#parts.length === 0 ? piece : Buffer.concat(this.#parts);
		this.#parts = [];
		const { socket, address, port, pace } = this.#source;
		if (!this.#closed && pace?.admits(datagram.length) !== false) socket.send(datagram, port, address);
	}
	onEnd(): void {
		this.#lease?.link.end();
		this.close();
	}
	onBroken(): void {
		this.close();
	}
	onDrain(): void {}

	#watchIdle(): Timer {
		const { clock } = this.#source;
		return clock.after(streamLimits.udpIdleMs, () => {
			if (clock.monotonic() - this.#heardAt >= streamLimits.udpIdleMs) this.close();
			else this.#idle = this.#watchIdle();
		});
	}
}
