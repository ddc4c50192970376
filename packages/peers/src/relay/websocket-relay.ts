import { createHash, randomBytes } from "node:crypto";
import { type ClientRequest, request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Duplex } from "node:stream";
import { type Clock, closeCodes, messageOf, WarrenError } from "@warren/kernel";
import { closeCodeFor, type RequestContext, type Upgrade, webSocketProtocol } from "@warren/net";
import { addressKey } from "../address.ts";
import type { KnownPeer, PeerDirectory } from "../directory.ts";
import { peerError } from "../errors.ts";
import { pinnedConnector } from "../pinned-connector.ts";
import type { Pins } from "../pins.ts";
import { assertData, hopHeader, nextHop, upstreamAuthorization } from "./isolation.ts";

export const webSocketRelayLimits = {
	handshakeMs: 10_000,
	/** Neither side has said anything for this long: peers ping every 20 s, so it is dead. */
	silenceMs: 75_000,
} as const;

/** RFC 6455 §1.3. */
const acceptGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/**
 * `/r/:peer/ws/*`: does the handshake with both sides, then splices the two sockets. Frames are never parsed here, so a
 * hop costs a copy; a slow side slows the other through TCP and costs nobody memory.
 */
export class WebSocketRelay {
	readonly #directory: PeerDirectory;
	readonly #pins: Pins;
	readonly #clock: Clock;

	constructor(directory: PeerDirectory, pins: Pins, clock: Clock) {
		this.#directory = directory;
		this.#pins = pins;
		this.#clock = clock;
	}

	async open(context: RequestContext, upgrade: Upgrade): Promise<void> {
		let upstream: UpstreamAnswer;
		try {
			assertData(context.headers, "websocket");
			const hops = nextHop(context.headers);
			const authorization = context.upstreamAuthorization ?? upstreamAuthorization(context.headers);
			const peer = await this.#directory.get(context.params["peer"] ?? "");
			await this.#directory.contact(peer);
			const query = context.query.size === 0 ? "" : `?${context.query.toString()}`;
			upstream = await this.#dial(
				peer,
				`/ws/${context.params["rest"] ?? ""}${query}`,
				authorization,
				hops,
				context.signal,
			);
		} catch (thrown) {
			refuseAsRelay(upgrade, thrown);
			return;
		}
		if (upstream.kind === "refused") {
			const { status } = upstream;
			const code =
				status === 401
					? closeCodes.signIn
					: status === 403
						? closeCodes.forbidden
						: status === 404
							? closeCodes.unknown
							: closeCodes.unavailable;
			upgrade.refuse(code, new WarrenError("upstream_refused", `The peer answered ${status}.`, { status }));
			return;
		}
		const client = upgrade.take();
		if (client.socket.destroyed) {
			upstream.socket.destroy();
			return;
		}
		answerHandshake(client.request, client.socket);
		splice(client.socket as Socket, client.head, upstream.socket as Socket, upstream.head);
	}

	async #dial(
		peer: KnownPeer,
		path: string,
		authorization: string | null,
		hops: string,
		signal: AbortSignal,
	): Promise<UpstreamAnswer> {
		const socket = await this.#connect(peer, signal);
		const key = randomBytes(16).toString("base64");
		const request = httpRequest({
			createConnection: () => socket,
			method: "GET",
			path,
			host: peer.address.host,
			signal,
			headers: {
				host: addressKey(peer.address),
				connection: "Upgrade",
				upgrade: "websocket",
				"sec-websocket-version": "13",
				"sec-websocket-key": key,
				"sec-websocket-protocol": webSocketProtocol,
				[hopHeader]: hops,
				...(authorization === null ? {} : { authorization }),
			},
		});
		const late = this.#clock.after(webSocketRelayLimits.handshakeMs, () =>
			request.destroy(new Error(`no answer to the handshake within ${webSocketRelayLimits.handshakeMs} ms`)),
		);
		try {
			return await answerTo(request, key, peer);
		} catch (fault) {
			throw this.#away(peer, fault);
		} finally {
			late.cancel();
		}
	}

	#connect(peer: KnownPeer, signal: AbortSignal): Promise<Socket> {
		return new Promise((resolve, reject) => {
			const connect = pinnedConnector(peer, this.#pins);
			connect({ hostname: peer.address.host, port: String(peer.address.port), protocol: "https:" }, (fault, socket) => {
				if (fault !== null) return reject(this.#away(peer, fault));
				if (signal.aborted) {
					socket.destroy();
					return reject(signal.reason);
				}
				socket.setNoDelay(true);
				resolve(socket);
			});
		});
	}

	#away(peer: KnownPeer, fault: unknown): WarrenError {
		if (fault instanceof WarrenError) return fault;
		const message = `${peer.name} does not answer: ${messageOf(fault)}.`;
		return this.#directory.away(peer, "unreachable", message, "Is it on, and is Warren running there?", fault);
	}
}

type UpstreamAnswer =
	| { readonly kind: "switched"; readonly socket: Duplex; readonly head: Buffer }
	| { readonly kind: "refused"; readonly status: number };

function answerTo(request: ClientRequest, key: string, peer: KnownPeer): Promise<UpstreamAnswer> {
	return new Promise((resolve, reject) => {
		request.once("upgrade", (response, socket, head) => {
			const fault = handshakeFault(response, key);
			if (fault === null) return resolve({ kind: "switched", socket, head });
			socket.destroy();
			reject(
				peerError("upstream_error", `${peer.name} answered the WebSocket handshake wrongly: ${fault}.`, {
					details: { reason: "handshake" },
				}),
			);
		});
		request.once("response", (response) => {
			response.resume();
			request.destroy();
			resolve({ kind: "refused", status: response.statusCode ?? 0 });
		});
		request.once("error", reject);
		request.end();
	});
}

/** Validates a peer's 101 before a byte of it is passed on. */
function handshakeFault(response: IncomingMessage, key: string): string | null {
	if (response.headers.upgrade?.toLowerCase() !== "websocket") return "it switched to something else";
	const accept = createHash("sha1")
		.update(key + acceptGuid)
		.digest("base64");
	if (response.headers["sec-websocket-accept"] !== accept) return "its key does not fit";
	if (response.headers["sec-websocket-extensions"] !== undefined) return "it chose an extension that was not offered";
	const protocol = response.headers["sec-websocket-protocol"];
	return protocol === undefined || protocol === webSocketProtocol
		? null
		: "it chose a subprotocol that was not offered";
}

function answerHandshake(request: IncomingMessage, socket: Duplex): void {
	const accept = createHash("sha1")
		.update(String(request.headers["sec-websocket-key"]) + acceptGuid)
		.digest("base64");
	const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((each) => each.trim());
	const protocol = offered.includes(webSocketProtocol) ? `Sec-WebSocket-Protocol: ${webSocketProtocol}\r\n` : "";
	socket.write(
		`HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${protocol}\r\n`,
	);
}

/**
 * Copies both ways until either ends. What that one has said still reaches the other: the last words of a terminal, and
 * the close code that tells why. Who breaks off instead takes the other along.
 */
function splice(client: Socket, clientHead: Buffer, upstream: Socket, upstreamHead: Buffer): void {
	const join = (from: Socket, to: Socket) => {
		const cut = () => {
			from.destroy();
			to.destroy();
		};
		from.setNoDelay(true);
		from.setTimeout(webSocketRelayLimits.silenceMs, cut);
		from.on("error", cut);
		// Flushes, then closes; a reader that stalls meanwhile is cut by its own silence.
		from.on("close", () => to.destroySoon());
		from.pipe(to);
	};
	if (clientHead.length > 0) upstream.write(clientHead);
	if (upstreamHead.length > 0) client.write(upstreamHead);
	join(client, upstream);
	join(upstream, client);
}

/** The relay's own refusals carry `"relay":1`, so that a client does not take them for the peer's. */
function refuseAsRelay(upgrade: Upgrade, thrown: unknown): void {
	const error = thrown instanceof WarrenError ? thrown : peerError("upstream_error", messageOf(thrown));
	const code = error.code === "pin_mismatch" ? closeCodes.forbidden : closeCodeFor(error);
	upgrade.refuse(code, new WarrenError(error.code, error.message, { status: error.status, details: { relay: 1 } }));
}
