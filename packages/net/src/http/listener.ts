import { createServer as createPlainServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import { createServer as createSecureServer, type Server as SecureServer } from "node:https";
import type { AddressInfo, Socket } from "node:net";
import type { Duplex } from "node:stream";
import { getRequestListener } from "@hono/node-server";
import { type Closeable, type CloseCode, type Identity } from "@warren/kernel";
import type { AcceptOptions, WebSocketConnection } from "../websocket/connection.ts";
import { listen } from "./bind.ts";
import { ClientAddress } from "./client-address.ts";
import { Handshakes } from "./handshakes.ts";
import {
	type ListenerDeps,
	type ListenerLimits,
	type ListenerOptions,
	listenerLimits,
	type TlsIdentity,
} from "./listener-options.ts";
import { OpenExchanges } from "./open-exchanges.ts";
import { endsOf, OpenSockets } from "./open-sockets.ts";
import {
	assertHandshake,
	closeCodeFor,
	PendingUpgrade,
	refuseSocket,
	refuseUpgrade,
	type UpgradeHost,
} from "./pending-upgrade.ts";
import { bodyTooLarge, boundedRequest, makeContext, type Target, wholeRequest, withBody } from "./request-context.ts";
import { type AcceptedTarget, RequestGate, type RequestHead } from "./request-gate.ts";
import { RequestSpan } from "./request-span.ts";
import { asWarrenError, errorResponse, faultLine, writeError } from "./responses.ts";
import type { HandleRoute, RequestContext, Route, WebSocketRoute } from "./route.ts";

/**
 * One port. Everything that arrives passes, in this order: Host table, path rules, route, Origin, credential, handler.
 * Nothing of a request is acted upon before.
 */
export class Listener implements Closeable, UpgradeHost {
	readonly role: string;
	readonly #server: Server | SecureServer;
	readonly #options: ListenerOptions;
	readonly #limits: ListenerLimits;
	readonly #deps: ListenerDeps;
	readonly #gate: RequestGate;
	readonly #address: ClientAddress;
	readonly #exchanges = new OpenExchanges();
	readonly #identities = new WeakMap<IncomingMessage, Identity>();
	readonly #sockets: OpenSockets;
	readonly #handshakes: Handshakes;
	/** By the ends that they have here: what TLS makes of a connection is another object. */
	readonly #admitted = new Map<string, PropertyDescriptorMap>();
	#closing: Promise<void> | undefined;

	private constructor(deps: ListenerDeps, options: ListenerOptions) {
		this.role = options.role;
		this.#deps = deps;
		this.#options = options;
		this.#limits = { ...listenerLimits, ...options.limits };
		this.#gate = new RequestGate(options);
		const forwarded = options.routes.find((route) => "forward" in route);
		if (forwarded !== undefined) throw new Error(`${forwarded.path} is passed on by an answer: only FetchListener can`);
		this.#address = new ClientAddress(options.trustedProxies ?? []);
		this.#handshakes = new Handshakes(deps.clock);
		const limits = {
			maxHeaderSize: this.#limits.maxHeaderBytes,
			headersTimeout: this.#limits.headTimeoutMs,
			requestTimeout: 0,
			connectionsCheckingInterval: this.#limits.headCheckMs,
			keepAliveTimeout: this.#limits.keepAliveMs,
			noDelay: true,
			// Whoever offers another protocol (h2c) is served by this one (RFC 9110 §7.8).
			shouldUpgradeCallback: ({ headers }: IncomingMessage) => headers.upgrade?.toLowerCase() === "websocket",
		};
		this.#server =
			options.tls === null
				? createPlainServer(limits)
				: createSecureServer({
						...limits,
						...options.tls,
						handshakeTimeout: this.#limits.tlsHandshakeMs,
						minVersion: options.tls.clientCa === undefined ? "TLSv1.2" : "TLSv1.3",
						...(options.tls.clientCa === undefined
							? {}
							: { ca: options.tls.clientCa, requestCert: true, rejectUnauthorized: true }),
					});
		this.#server.maxConnections = this.#limits.maxConnections;
		this.#server.maxHeadersCount = this.#limits.maxHeadersCount;
		const { tracer } = deps;
		this.#server.on("request", (incoming, outgoing) => {
			if (tracer == null) return void this.#onRequest(incoming, outgoing, null);
			const span = new RequestSpan(tracer, incoming, incoming.method ?? "GET", this.role);
			span.endWith(outgoing);
			void span.within(() => this.#onRequest(incoming, outgoing, span));
		});
		this.#server.on("upgrade", (incoming, socket, head) => {
			if (tracer == null) return void this.#onUpgrade(incoming, socket, head, null);
			const span = new RequestSpan(tracer, incoming, "WS", this.role);
			void span.within(() => this.#onUpgrade(incoming, socket, head, span));
		});
		this.#server.prependListener("secureConnection", (socket: Socket) => {
			const facts = this.#admitted.get(endsOf(socket));
			if (facts !== undefined) Object.defineProperties(socket, facts);
		});
		this.#sockets = new OpenSockets(this.#server);
		this.#server.on("clientError", (fault: NodeJS.ErrnoException, socket) => {
			if (this.#sockets.isAnswering(socket)) socket.destroy();
			else refuseSocket(socket, fault.code);
		});
	}

	/** @throws WarrenError `port_taken`, `no_permission`, `no_address`. */
	static async open(deps: ListenerDeps, options: ListenerOptions): Promise<Listener> {
		const listener = new Listener(deps, options);
		await listen(listener.#server, options.host, options.port);
		return listener;
	}

	/** A listener without a port of its own: connections come by `adopt`, one request each, TLS already taken off. */
	static detached(deps: ListenerDeps, options: Omit<ListenerOptions, "host" | "port" | "tls">): Listener {
		const listener = new Listener(deps, { ...options, port: 0, tls: null });
		listener.#server.maxRequestsPerSocket = 1;
		// The runtime only says that it will close.
		listener.#server.on("request", (incoming, outgoing) => outgoing.once("finish", () => incoming.socket.end()));
		return listener;
	}

	/** Takes over a connection that somebody else accepted; its unread bytes were pushed back before. */
	adopt(socket: Socket): void {
		this.#server.emit("connection", socket);
		socket.resume();
	}

	/**
	 * Takes over a connection that arrived somewhere else, from its first byte on, TLS included.
	 * @param from where it came from and where it arrived, as its client sees both.
	 */
	admit(socket: Socket, from: { readonly remoteAddress: string; readonly localAddress: string }): void {
		const facts = { remoteAddress: { value: from.remoteAddress }, localAddress: { value: from.localAddress } };
		const ends = endsOf(socket);
		Object.defineProperties(socket, facts);
		if (this.secure) {
			this.#admitted.set(ends, facts);
			socket.once("close", () => this.#admitted.delete(ends));
		}
		this.#server.emit("connection", socket);
		// TLS takes what was read of it from its buffer; flowing, it would be lost.
		if (!this.secure) socket.resume();
	}

	get port(): number {
		return (this.#server.address() as AddressInfo).port;
	}

	get host(): string {
		return (this.#server.address() as AddressInfo).address;
	}

	get secure(): boolean {
		return this.#options.tls !== null;
	}

	get webSocketCount(): number {
		return this.#exchanges.webSocketCount;
	}

	routes(): readonly Route[] {
		return this.#gate.routes();
	}

	/** New connections get the new certificate; those that are open keep theirs. */
	setCertificate(tls: TlsIdentity): void {
		if (!("setSecureContext" in this.#server)) return;
		// The least version too: what is not said anew falls back to the runtime's own.
		this.#server.setSecureContext({
			...tls,
			minVersion: tls.clientCa === undefined ? "TLSv1.2" : "TLSv1.3",
			...(tls.clientCa === undefined ? {} : { ca: tls.clientCa }),
		});
	}

	/**
	 * Ends what is open on somebody's behalf: WebSockets with a code, relayed sockets and streamed answers by a cut.
	 * @returns how many were ended.
	 */
	disconnect(matches: (identity: Identity) => boolean, code: CloseCode, reason: string): number {
		return this.#exchanges.disconnect(matches, code, reason);
	}

	/** Stops accepting, tells WebSockets to come back (1012), lets requests finish, then cuts what is left. */
	close(): Promise<void> {
		this.#closing ??= this.#drain();
		return this.#closing;
	}

	async #drain(): Promise<void> {
		const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()));
		this.#server.closeIdleConnections();
		this.#sockets.cutUnused();
		this.#exchanges.drain();
		const cut = this.#deps.clock.after(this.#limits.drainMs, () => {
			this.#sockets.cutAll();
		});
		await Promise.all([closed, this.#sockets.emptied()]);
		cut.cancel();
		this.#handshakes.close();
	}

	async #onRequest(incoming: IncomingMessage, outgoing: ServerResponse, span: RequestSpan | null): Promise<void> {
		this.#sockets.used(incoming.socket);
		this.#sockets.answers(incoming.socket, outgoing);
		outgoing.once("close", () => {
			// A connection that was busy when `close` began is idle only now.
			if (this.#closing !== undefined) setImmediate(() => this.#server.closeIdleConnections());
		});
		outgoing.setTimeout(this.#limits.stallMs, () => {
			if (isStalled(incoming)) incoming.socket.destroy();
		});
		const cors = this.#gate.corsHeaders(incoming.headers.origin);
		const head = this.#headOf(incoming);
		let isTaken = false;
		try {
			for (const [name, value] of Object.entries(cors)) outgoing.setHeader(name, value);
			const target = this.#gate.readTarget(head);
			if (incoming.method === "OPTIONS" && Object.keys(cors).length > 0) {
				outgoing.writeHead(204).end();
				return;
			}
			const route = this.#gate.findRoute(head.method, target.path);
			isTaken = true;
			if (span !== null) span.route = route.route.path;
			if (incoming.method !== "GET" && incoming.method !== "HEAD") this.#gate.checkOrigin(head, target.origin);
			const admit = () =>
				this.#contextOf(incoming, head, route.route, { ...target, params: route.params, upgrade: false, outgoing });
			const context = await admit();
			if ("stream" in route.route) {
				this.#exchanges.streams(outgoing, context.identity);
				await route.route.stream(context, incoming, outgoing);
			} else await this.#answer(route.route as HandleRoute, { context, admit }, incoming, outgoing);
		} catch (thrown) {
			this.#logFault(thrown, incoming);
			// Else the rest of a body that nobody reads would hold the connection for as long as its sender likes.
			if (!incoming.complete) outgoing.shouldKeepAlive = false;
			const error = asWarrenError(thrown);
			writeError(outgoing, error, {}, isTaken ? null : this.#gate.pageOf(head, error));
		}
	}

	/**
	 * Runs a HandleRoute through the Fetch adapter, whose Request is made only when it is used.
	 * @param admitted.admit judges the sender anew: who holds a body back may lose their rights meanwhile.
	 */
	#answer(
		route: HandleRoute,
		{ context, admit }: { readonly context: RequestContext; readonly admit: () => Promise<RequestContext> },
		incoming: IncomingMessage,
		outgoing: ServerResponse,
	): Promise<void> {
		const declared = Number(incoming.headers["content-length"] ?? 0);
		const maxBodyBytes = route.maxBodyBytes ?? this.#limits.maxBodyBytes;
		if (declared > maxBodyBytes) throw bodyTooLarge(maxBodyBytes);
		const listener = getRequestListener(
			async (request) => {
				try {
					const bounded = boundedRequest(request, maxBodyBytes);
					if (context.identity === null || incoming.complete) return await route.handle(withBody(context, bounded));
					const whole = await wholeRequest(bounded);
					return await route.handle(withBody(await admit(), whole));
				} catch (thrown) {
					this.#logFault(thrown, incoming);
					return errorResponse(asWarrenError(thrown));
				}
			},
			{ overrideGlobalObjects: false, hostname: "warren.invalid" },
		);
		return listener(incoming, outgoing) as Promise<void>;
	}

	async #onUpgrade(
		incoming: IncomingMessage,
		socket: Duplex,
		headBytes: Buffer,
		span: RequestSpan | null,
	): Promise<void> {
		socket.on("error", () => socket.destroy());
		// Its own answer would be taken for the earlier one, or for a part of it.
		if (this.#sockets.owesAnswer(incoming.socket)) return void socket.destroy();
		this.#sockets.used(incoming.socket);
		let upgrade: PendingUpgrade | undefined;
		try {
			const head = this.#headOf(incoming);
			const target = this.#gate.readTarget(head);
			const route = this.#gate.findRoute("WS", target.path);
			if (span !== null) span.route = route.route.path;
			this.#gate.checkOrigin(head, target.origin);
			assertHandshake(incoming);
			upgrade = new PendingUpgrade(this, incoming, socket, headBytes);
			const context = await this.#contextOf(incoming, head, route.route, {
				...target,
				params: route.params,
				upgrade: true,
				outgoing: null,
			});
			this.#exchanges.waits(socket, context.identity);
			await (route.route as WebSocketRoute).open(context, upgrade);
			span?.end(101);
		} catch (thrown) {
			this.#logFault(thrown, incoming);
			const error = asWarrenError(thrown);
			span?.end(error.status);
			if (upgrade === undefined) refuseUpgrade(socket, error);
			else upgrade.refuse(closeCodeFor(error), error);
		}
	}

	#headOf(incoming: IncomingMessage): RequestHead {
		return {
			method: incoming.method ?? "GET",
			target: incoming.url ?? "/",
			headers: incoming.headers,
			countOf: (name) => countOf(incoming, name),
			secure: this.secure || (incoming.socket as { encrypted?: boolean }).encrypted === true,
			localAddress: incoming.socket.localAddress,
			remoteAddress: this.#address.of(incoming),
			throughProxy: this.#address.isTrusted(incoming.socket.remoteAddress ?? ""),
			certificate: () => certificateOf(incoming),
		};
	}

	async #contextOf(
		incoming: IncomingMessage,
		head: RequestHead,
		route: Route,
		target: AcceptedTarget & Target,
	): Promise<RequestContext> {
		const who = await this.#gate.authenticate(head, route, target, target.upgrade);
		if (who.identity !== null) this.#identities.set(incoming, who.identity);
		return makeContext(incoming, target, { ...who, remoteAddress: head.remoteAddress });
	}

	#logFault(thrown: unknown, incoming: IncomingMessage): void {
		const error = asWarrenError(thrown);
		if (error.status < 500 || error.status === 503 || error.status === 502 || isLeft(incoming)) return;
		this.#deps.logger.error("request failed", {
			role: this.role,
			method: incoming.method,
			path: (incoming.url ?? "").split("?")[0]?.slice(0, 200),
			fault: faultLine(thrown),
		});
	}

	/** For PendingUpgrade only. */
	completeHandshake(
		incoming: IncomingMessage,
		socket: Duplex,
		head: Buffer,
		options: AcceptOptions,
	): WebSocketConnection {
		const connection = this.#handshakes.complete(incoming, socket, head, this.#address.of(incoming), options);
		this.#exchanges.opened(socket, connection, this.#identities.get(incoming) ?? null);
		return connection;
	}

	/** For PendingUpgrade only. */
	handOver(incoming: IncomingMessage, socket: Duplex): void {
		this.#exchanges.taken(socket, this.#identities.get(incoming) ?? null);
	}
}

/** The client broke its own request off: no fault, and nobody may fill the log by it. */
function isLeft(incoming: IncomingMessage): boolean {
	return !incoming.complete && (incoming.errored as NodeJS.ErrnoException | null)?.code === "ECONNRESET";
}

/** It is the client that keeps everybody waiting: what it sent was read, or what it was sent was not. */
function isStalled(incoming: IncomingMessage): boolean {
	return incoming.socket.writableLength > 0 || (!incoming.complete && incoming.readableLength === 0);
}

function countOf(incoming: IncomingMessage, header: string): number {
	return incoming.rawHeaders.filter((name, index) => index % 2 === 0 && name.toLowerCase() === header).length;
}

function certificateOf(incoming: IncomingMessage) {
	const socket = incoming.socket as {
		getPeerCertificate?: () => { fingerprint256?: string; subject?: { CN?: string }; raw?: Uint8Array };
	};
	const certificate = socket.getPeerCertificate?.();
	if (certificate?.fingerprint256 === undefined) return null;
	return {
		scheme: "certificate",
		fingerprint: certificate.fingerprint256.toLowerCase(),
		subject: certificate.subject?.CN ?? "",
		der: certificate.raw ?? new Uint8Array(),
	} as const;
}
