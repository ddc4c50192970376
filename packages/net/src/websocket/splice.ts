import { hash, randomBytes } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
import type { Clock } from "@warren/kernel";
import { webSocketProtocol } from "../http/credentials.ts";
import type { Upgrade } from "../http/route.ts";

export const spliceLimits = {
	handshakeMs: 10_000,
	/** Neither side has said anything for this long: servers ping every 20 s, so it is dead. */
	silenceMs: 75_000,
} as const;

/** RFC 6455 §1.3. */
const acceptGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

export interface UpstreamRequest {
	/** Connected, TLS and pins already checked. */
	readonly socket: Socket;
	readonly host: string;
	/** With its query. */
	readonly path: string;
	readonly headers: Readonly<Record<string, string>>;
	readonly signal: AbortSignal;
}

export type UpstreamAnswer =
	/** `protocol`: the subprotocol that it chose of those it was offered, or null. */
	| { readonly kind: "switched"; readonly socket: Socket; readonly head: Buffer; readonly protocol: string | null }
	/** A plain answer instead of a 101. */
	| { readonly kind: "refused"; readonly status: number }
	/** A 101 that breaks the protocol. */
	| { readonly kind: "broken"; readonly why: string }
	/** No answer, or none in time. */
	| { readonly kind: "silent"; readonly cause: Error };

/** Does the client half of a WebSocket handshake over a socket, offering `warren.v1` unless told. Nothing rejects. */
export function upgradeUpstream(upstream: UpstreamRequest, clock: Clock): Promise<UpstreamAnswer> {
	return new Promise((settle) => {
		const resolve = (answer: UpstreamAnswer) => {
			late.cancel();
			settle(answer);
		};
		const late = clock.after(spliceLimits.handshakeMs, () =>
			request.destroy(new Error(`no answer to the handshake within ${spliceLimits.handshakeMs} ms`)),
		);
		const key = randomBytes(16).toString("base64");
		const request = httpRequest({
			createConnection: () => upstream.socket,
			method: "GET",
			path: upstream.path,
			signal: upstream.signal,
			headers: {
				host: upstream.host,
				connection: "Upgrade",
				upgrade: "websocket",
				"sec-websocket-version": "13",
				"sec-websocket-key": key,
				"sec-websocket-protocol": webSocketProtocol,
				...upstream.headers,
			},
		});
		request.once("upgrade", (response, socket, head) => {
			const offered = offeredIn(upstream.headers["sec-websocket-protocol"] ?? webSocketProtocol);
			const why = handshakeFault(response, key, offered);
			const protocol = response.headers["sec-websocket-protocol"] ?? null;
			if (why === null) return resolve({ kind: "switched", socket: socket as Socket, head, protocol });
			socket.destroy();
			resolve({ kind: "broken", why });
		});
		request.once("response", (response) => {
			response.resume();
			request.destroy();
			resolve({ kind: "refused", status: response.statusCode ?? 0 });
		});
		request.on("error", (cause) => {
			// A request that was called off before it had its socket leaves that one open.
			upstream.socket.destroy();
			resolve({ kind: "silent", cause });
		});
		request.end();
	});
}

/**
 * Completes the client's own handshake and copies bytes both ways until either side ends; then both are gone. Frames
 * are never parsed, so a hop costs a copy; a slow side slows the other through TCP and costs nobody memory.
 */
export function spliceUpgrade(
	upgrade: Upgrade,
	upstream: { readonly socket: Socket; readonly head: Buffer; readonly protocol: string | null },
): void {
	const { request, socket, head } = upgrade.take();
	if (socket.destroyed) {
		upstream.socket.destroy();
		return;
	}
	socket.write(handshakeAnswer(request, upstream.protocol ?? webSocketProtocol));
	const client = socket as Socket;
	if (head.length > 0) upstream.socket.write(head);
	if (upstream.head.length > 0) client.write(upstream.head);
	join(client, upstream.socket);
	join(upstream.socket, client);
}

/**
 * One direction. What a side has said still reaches the other when it ends: the last words of a terminal, and the close
 * code that tells why. Who breaks off instead takes the other along.
 */
function join(from: Socket, to: Socket): void {
	const cut = () => {
		from.destroy();
		to.destroy();
	};
	from.setNoDelay(true);
	from.setTimeout(spliceLimits.silenceMs, cut);
	from.on("error", cut);
	// Flushes, then closes; a reader that stalls meanwhile is cut by its own silence.
	from.on("close", () => to.destroySoon());
	from.pipe(to);
}

/** Judges a 101 before a byte of it is passed on. @returns null when it is right. */
function handshakeFault(response: IncomingMessage, key: string, offered: readonly string[]): string | null {
	if (response.headers.upgrade?.toLowerCase() !== "websocket") return "it switched to something else";
	if (response.headers["sec-websocket-accept"] !== acceptOf(key)) return "its key does not fit";
	if (response.headers["sec-websocket-extensions"] !== undefined) return "it chose an extension that was not offered";
	const protocol = response.headers["sec-websocket-protocol"];
	return protocol === undefined || offered.includes(protocol) ? null : "it chose a subprotocol that was not offered";
}

/** @param protocol is echoed when the client offered it. */
export function handshakeAnswer(request: IncomingMessage, protocol: string = webSocketProtocol): string {
	const isOffered = offeredIn(request.headers["sec-websocket-protocol"] ?? "").includes(protocol);
	const chosen = isOffered ? `Sec-WebSocket-Protocol: ${protocol}\r\n` : "";
	const accept = acceptOf(String(request.headers["sec-websocket-key"]));
	return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${chosen}\r\n`;
}

/** Of a header's list; a credential among them is nobody's to choose. */
function offeredIn(header: string): string[] {
	return header
		.split(",")
		.map((each) => each.trim())
		.filter((each) => each !== "" && !/^(bearer|ticket)\./.test(each));
}

function acceptOf(key: string): string {
	// One call: an object for each handshake would hold native memory until it is collected.
	return hash("sha1", key + acceptGuid, "base64");
}
