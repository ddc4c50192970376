import type { IncomingMessage } from "node:http";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";
import {
	connect as connectTls,
	createServer as createTlsServer,
	type TLSSocket,
	type Server as TlsServer,
} from "node:tls";
import { type Clock, type Closeable, type Logger, messageOf, type Timer, type Tracer } from "@warren/kernel";
import { ClientAddress, canonicalHost, type HostTable, type Listener, parseHost } from "@warren/net";
import type { Callers } from "../identity/callers.ts";
import type { RequestHead } from "../protocol/request-head.ts";
import type { AgentPool } from "./agents/agent-pool.ts";
import type { Certificates } from "./certificates.ts";
import type { AdmittedRequest } from "./http1/admission.ts";
import { ClientConnection } from "./http1/client-connection.ts";
import type { Http2Front } from "./http2/http2-front.ts";
import { Upstreams } from "./http2/upstreams.ts";
import type { Inspector } from "./inspector.ts";
import { RunningSet } from "./running-set.ts";
import type { ActiveService, Services } from "./services.ts";

export interface FrontLimits {
	readonly headTimeoutMs: number;
	readonly keepAliveMs: number;
	/** From a request to the first byte of its answer, and between pieces of its body. */
	readonly answerTimeoutMs: number;
	/** Between two pieces of an answer; a reader that takes nothing for so long is cut. */
	readonly idleTimeoutMs: number;
	/** How long a refused client may take to read why. */
	readonly lingerMs: number;
	readonly maxConnections: number;
	/** How often deadlines are looked at. */
	readonly sweepMs: number;
	readonly drainMs: number;
}

export const frontLimits: FrontLimits = {
	headTimeoutMs: 10_000,
	keepAliveMs: 65_000,
	answerTimeoutMs: 120_000,
	idleTimeoutMs: 600_000,
	lingerMs: 2_000,
	maxConnections: 40_000,
	sweepMs: 500,
	drainMs: 10_000,
};

export type FrontRoute =
	| { readonly kind: "service"; readonly service: ActiveService }
	| { readonly kind: "own" }
	| { readonly kind: "unknown"; readonly name: string };

/** Something under way towards a service, and for whom. */
export interface Running {
	readonly service: string;
	/** Null = anonymous. */
	readonly principalId: string | null;
	/** Of the key that it was let in by; 0 = anonymous. */
	readonly keyVersion: number;
	readonly address: string;
}

/** What runs on behalf of somebody who was let in. */
export function runningOf({
	service,
	caller,
	address,
}: Pick<AdmittedRequest, "service" | "caller" | "address">): Running {
	const { principal_id: principalId = null, key_version: keyVersion = 0 } = caller.principal ?? {};
	return { service: service.name, principalId, keyVersion, address };
}

export interface FrontDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	readonly services: Services;
	readonly callers: Callers;
	readonly pool: AgentPool;
	readonly inspector: Inspector;
	/** Takes connections for the backbone's own names. */
	readonly listener: Listener;
	/** Takes upgrades of agents and visitors; null = not one of them. */
	readonly tracer: Tracer | null;
	readonly upgrade: (socket: Socket, head: RequestHead, rest: Buffer | null) => boolean;
	readonly http2: Pick<Http2Front, "accept" | "drain">;
}

export interface FrontOptions {
	readonly domain: string;
	readonly hosts: HostTable;
	readonly trustedProxies: readonly string[];
	/** Null = plain HTTP. */
	readonly certificates: Certificates | null;
	readonly limits?: Partial<FrontLimits>;
}

export interface ServiceCounts {
	requests: number;
	errors: number;
	refused: number;
}

const maxRememberedHosts = 10_000;

/** The public side: every connection of clients, agents and visitors arrives here and is sorted by its Host before anything else. */
export class Front implements Closeable {
	readonly clock: Clock;
	readonly tracer: Tracer | null;
	readonly services: Services;
	readonly callers: Callers;
	readonly pool: AgentPool;
	readonly inspector: Inspector;
	/** Connections to the targets of services of kind `h2`, for clients of either version. */
	readonly upstreams: Upstreams;
	readonly limits: FrontLimits;
	/** Coarse, monotonic, milliseconds; moved by the sweep. */
	now: number;
	/** Coarse, milliseconds since the Unix epoch. */
	wallNow: number;
	draining = false;
	bytesIn = 0;
	bytesOut = 0;
	readonly counts = new Map<string, ServiceCounts>();
	readonly #deps: FrontDeps;
	readonly #options: FrontOptions;
	readonly #trust: ClientAddress | null;
	readonly #servers = new Set<Server>();
	readonly #connections = new RunningSet<ClientConnection>();
	/** What lies below TLS, its handshakes included: those are no connections yet. */
	readonly #arrived = new Set<Socket>();
	readonly #routes = new Map<string, FrontRoute | null>();
	readonly #suffix: string;
	#sweep: Timer | undefined;
	#closing: Promise<void> | undefined;
	readonly #watch: Closeable;

	constructor(deps: FrontDeps, options: FrontOptions) {
		this.#deps = deps;
		this.#options = options;
		this.clock = deps.clock;
		this.tracer = deps.tracer;
		this.services = deps.services;
		this.callers = deps.callers;
		this.pool = deps.pool;
		this.inspector = deps.inspector;
		this.upstreams = new Upstreams(deps.pool);
		this.limits = { ...frontLimits, ...options.limits };
		this.now = deps.clock.monotonic();
		this.wallNow = deps.clock.now();
		this.#suffix = `.${canonicalHost(options.domain)}`;
		this.#trust = options.trustedProxies.length === 0 ? null : new ClientAddress(options.trustedProxies);
		this.#watch = deps.services.watch(() => this.#routes.clear());
		this.#armSweep();
	}

	/** One more port. @param pinned the service that it belongs to; null = sorted by Host. @throws NodeJS.ErrnoException */
	async listen(
		host: string | undefined,
		port: number,
		pinned: string | null = null,
	): Promise<Closeable & { port: number }> {
		const accept = (socket: Socket) => {
			socket.setNoDelay(true);
			this.#connections.add(new ClientConnection(this, socket, pinned));
		};
		const { certificates } = this.#options;
		const secure = certificates === null ? null : this.#secure(certificates, pinned, accept);
		const unwatch = certificates?.watchStandard((standard) =>
			secure?.setSecureContext({ ...standard, minVersion: "TLSv1.2" }),
		);
		const server = createServer({ allowHalfOpen: true }, (socket) => {
			if (certificates === null || secure === null) return accept(socket);
			this.#arrived.add(socket);
			socket.once("close", () => this.#arrived.delete(socket));
			certificates.admit(socket, () => secure.emit("connection", socket));
		});
		if (unwatch !== undefined) server.on("close", unwatch);
		server.maxConnections = this.limits.maxConnections;
		await new Promise<void>((resolve, reject) => {
			server.once("error", reject);
			server.listen({ port, ...(host === undefined ? {} : { host }), backlog: 4096 }, () => {
				server.off("error", reject);
				resolve();
			});
		});
		server.on("error", (fault) => this.fault("the listener failed", fault));
		this.#servers.add(server);
		const { port: opened } = server.address() as AddressInfo;
		return {
			port: opened,
			close: () => {
				this.#servers.delete(server);
				// The port is free at once. Whoever is connected to it may stay for as long as it likes: nobody waits for that.
				server.close();
				for (const connection of [...this.#connections]) if (connection.socket.localPort === opened) connection.drain();
				this.#deps.http2.drain(opened);
			},
		};
	}

	/** Makes TLS of connections that arrive elsewhere; listens to nothing itself. */
	#secure(certificates: Certificates, pinned: string | null, accept: (socket: Socket) => void): TlsServer {
		const secure = createTlsServer(
			{
				...certificates.standard,
				minVersion: "TLSv1.2",
				handshakeTimeout: this.limits.headTimeoutMs,
				allowHalfOpen: true,
				SNICallback: (servername, done) => done(null, certificates.contextOf(servername)),
				ALPNCallback: ({ servername, protocols }) => this.#chooseProtocol(servername, protocols, pinned),
			},
			(socket: TLSSocket) => {
				if (socket.alpnProtocol !== "h2") return accept(socket);
				socket.setNoDelay(true);
				this.#deps.http2.accept(socket, null, pinned);
			},
		);
		// A handshake that fails is the client's affair.
		secure.on("tlsClientError", (_fault, socket) => socket.destroy());
		return secure;
	}

	get connectionCount(): number {
		return this.#connections.size;
	}

	/** By the Host header alone, whatever else the request says. @returns null for a name that is nobody's: 421. */
	route(header: string, socket: Socket, pinned: string | null): FrontRoute | null {
		if (pinned !== null) {
			const service = this.services.get(pinned);
			const parsed = parseHost(header);
			if (service === null || parsed === null) return null;
			return this.#options.hosts.accepts(parsed.host, socket.localAddress) || this.#named(parsed.host) === pinned
				? { kind: "service", service }
				: null;
		}
		const known = this.#routes.get(header);
		if (known !== undefined) return known;
		const parsed = parseHost(header);
		const route = parsed === null ? null : this.#routeOf(parsed.host, socket);
		// Address literals depend on the socket; hosts of strangers must not fill the memory.
		if (route !== null && route.kind === "service" && this.#routes.size < maxRememberedHosts)
			this.#routes.set(header, route);
		return route;
	}

	#routeOf(host: string, socket: Socket): FrontRoute | null {
		const named = this.#named(host);
		if (named !== null) {
			const service = this.services.get(named);
			return service === null ? { kind: "unknown", name: named } : { kind: "service", service };
		}
		if (this.#options.hosts.accepts(host, socket.localAddress)) return { kind: "own" };
		const service = this.services.byDomain(host);
		return service === null ? null : { kind: "service", service };
	}

	/** The label before the domain. */
	#named(host: string): string | null {
		if (!host.endsWith(this.#suffix)) return null;
		const label = host.slice(0, -this.#suffix.length);
		return label.includes(".") ? null : label;
	}

	/** The service that a TLS client names; it names nothing when it dials an address. */
	#serviceOf(servername: string): ActiveService | null {
		const host = canonicalHost(servername);
		const named = this.#named(host);
		return named === null ? this.services.byDomain(host) : this.services.get(named);
	}

	/**
	 * HTTP/2 where it is needed, HTTP/1.1 where it is faster: services that speak h2, and whoever offers nothing else.
	 */
	#chooseProtocol(
		servername: string | false | undefined,
		protocols: readonly string[],
		pinned: string | null,
	): string | undefined {
		const service = pinned === null ? this.#serviceOf(servername || "") : this.services.get(pinned);
		const wantsHttp2 = service?.kind === "h2" || !protocols.includes("http/1.1");
		if (wantsHttp2 && protocols.includes("h2")) return "h2";
		return protocols.includes("http/1.1") ? "http/1.1" : undefined;
	}

	handOver(socket: Socket, head: RequestHead, headBytes: Buffer, rest: Buffer | null): void {
		if (head.upgradeTo !== null && this.#deps.upgrade(socket, head, rest)) return;
		socket.unshift(rest === null ? headBytes : Buffer.concat([headBytes, rest]));
		this.#deps.listener.adopt(socket);
	}

	handOverHttp2(socket: Socket, bytes: Buffer, pinned: string | null): void {
		this.#deps.http2.accept(socket, bytes, pinned);
	}

	isSecure(socket: Socket): boolean {
		return (socket as { encrypted?: boolean }).encrypted === true;
	}

	addressOf(socket: Socket): string {
		return canonicalHost(socket.remoteAddress ?? "");
	}

	clientAddress(socket: Socket, forwardedFor: string): string {
		if (this.#trust === null) return this.addressOf(socket);
		// All that it reads of a request.
		return this.#trust.of({ socket, headers: { "x-forwarded-for": forwardedFor } } as unknown as IncomingMessage);
	}

	/** What the service is told: a client's own claim only behind a proxy that the operator named. */
	forwardedFor(socket: Socket, claimed: string | null): string {
		const address = this.addressOf(socket);
		return claimed === null || this.#trust === null || !this.#trust.isTrusted(address)
			? address
			: `${claimed.replace(/[^\x20-\x7e]/g, "")}, ${address}`;
	}

	finished(service: ActiveService | null, status: number): void {
		if (service === null) return;
		let counts = this.counts.get(service.name);
		if (counts === undefined) {
			counts = { requests: 0, errors: 0, refused: 0 };
			this.counts.set(service.name, counts);
		}
		counts.requests += 1;
		if (status >= 500) counts.errors += 1;
		else if (status === 401 || status === 403 || status === 429) counts.refused += 1;
	}

	fault(event: string, thrown: unknown): void {
		this.#deps.logger.warn(event, { fault: messageOf(thrown) });
	}

	/** A client's connection of our own, for replays. @param port of the service's own; null = sorted by Host. */
	connectToSelf(port: number | null, protocol: "http/1.1" | "h2"): Socket {
		const addresses = [...this.#servers].map((server) => server.address() as AddressInfo);
		const found = addresses.find((each) => each.port === port) ?? addresses[0];
		if (found === undefined) throw new Error("nothing listens");
		const host = found.address === "::" ? "::1" : found.address === "0.0.0.0" ? "127.0.0.1" : found.address;
		// To this very process: its certificate proves nothing that matters here.
		return this.#options.certificates === null
			? connect(found.port, host)
			: connectTls({ port: found.port, host, rejectUnauthorized: false, ALPNProtocols: [protocol] });
	}

	forget(connection: ClientConnection): void {
		this.#connections.delete(connection);
	}

	/** What runs now. */
	*running(): Iterable<Running> {
		for (const { running } of this.#connections) if (running !== null) yield running;
	}

	/** Cuts what runs on behalf of somebody, or towards a service. */
	disconnect(matches: (running: Running) => boolean): void {
		for (const connection of [...this.#connections]) {
			const { running } = connection;
			if (running !== null && matches(running)) connection.cut();
		}
	}

	#armSweep(): void {
		this.#sweep = this.clock.after(this.limits.sweepMs, () => {
			this.now = this.clock.monotonic();
			this.wallNow = this.clock.now();
			this.pool.sweep(this.now);
			for (const connection of [...this.#connections]) if (connection.deadline < this.now) connection.expire();
			this.#armSweep();
		});
	}

	/** Stops accepting, sends agents elsewhere, lets requests finish, then cuts what is left. */
	close(): Promise<void> {
		this.#closing ??= this.#close();
		return this.#closing;
	}

	async #close(): Promise<void> {
		this.draining = true;
		void this.#watch.close();
		const closed = Promise.all(
			[...this.#servers].map((server) => new Promise<void>((resolve) => server.close(() => resolve()))),
		);
		for (const connection of [...this.#connections]) connection.drain();
		await this.#connections.empty(this.clock, this.limits.drainMs);
		this.#sweep?.cancel();
		for (const connection of [...this.#connections]) connection.cut();
		this.upstreams.close();
		this.pool.close();
		for (const socket of [...this.#arrived]) socket.destroy();
		await closed;
	}
}
