import { createHash, randomBytes } from "node:crypto";
import { request as httpRequest, type IncomingMessage } from "node:http";
import type { Socket } from "node:net";
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
	| { readonly kind: "switched"; readonly socket: Socket; readonly head: Buffer }
	/** A plain answer instead of a 101. */
	| { readonly kind: "refused"; readonly status: number }
	/** A 101 that breaks the protocol, or no answer. */
	| { readonly kind: "failed"; readonly why: string };

/** Does the client half of a WebSocket handshake over a socket, offering `warren.v1` alone. Nothing rejects. */
export function upgradeUpstream(upstream: UpstreamRequest): Promise<UpstreamAnswer> {
	return new Promise((resolve) => {
		const key = randomBytes(16).toString("base64");
		const request = httpRequest({
			createConnection: () => upstream.socket,
			method: "GET",
			path: upstream.path,
			signal: upstream.signal,
			timeout: spliceLimits.handshakeMs,
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
			const why = handshakeFault(response, key);
			if (why === null) return resolve({ kind: "switched", socket: socket as Socket, head });
			socket.destroy();
			resolve({ kind: "failed", why });
		});
		request.once("response", (response) => {
			response.resume();
			request.destroy();
			resolve({ kind: "refused", status: response.statusCode ?? 0 });
		});
		request.once("timeout", () => request.destroy(new Error(`no answer within ${spliceLimits.handshakeMs} ms`)));
		request.on("error", (fault) => resolve({ kind: "failed", why: fault.message }));
		request.end();
	});
}

/**
 * Completes the client's own handshake and copies bytes both ways until either side ends; then both are gone. Frames
 * are never parsed, so a hop costs a copy; a slow side slows the other through TCP and costs nobody memory.
 */
export function spliceUpgrade(upgrade: Upgrade, upstream: { readonly socket: Socket; readonly head: Buffer }): void {
	const { request, socket, head } = upgrade.take();
	if (socket.destroyed) {
		upstream.socket.destroy();
		return;
	}
	socket.write(handshakeAnswer(request));
	const client = socket as Socket;
	const cut = () => {
		client.destroy();
		upstream.socket.destroy();
	};
	for (const each of [client, upstream.socket]) {
		each.setNoDelay(true);
		each.setTimeout(spliceLimits.silenceMs, cut);
		each.on("error", cut);
		each.on("close", cut);
	}
	if (head.length > 0) upstream.socket.write(head);
	if (upstream.head.length > 0) client.write(upstream.head);
	client.pipe(upstream.socket);
	upstream.socket.pipe(client);
}

/** Judges a 101 before a byte of it is passed on. @returns null when it is right. */
function handshakeFault(response: IncomingMessage, key: string): string | null {
	if (response.headers.upgrade?.toLowerCase() !== "websocket") return "it switched to something else";
	if (response.headers["sec-websocket-accept"] !== acceptOf(key)) return "its key does not fit";
	if (response.headers["sec-websocket-extensions"] !== undefined) return "it chose an extension that was not offered";
	const protocol = response.headers["sec-websocket-protocol"];
	return protocol === undefined || protocol === webSocketProtocol
		? null
		: "it chose a subprotocol that was not offered";
}

function handshakeAnswer(request: IncomingMessage): string {
	const offered = (request.headers["sec-websocket-protocol"] ?? "").split(",").map((each) => each.trim());
	const protocol = offered.includes(webSocketProtocol) ? `Sec-WebSocket-Protocol: ${webSocketProtocol}\r\n` : "";
	const accept = acceptOf(String(request.headers["sec-websocket-key"]));
	return `HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: ${accept}\r\n${protocol}\r\n`;
}

function acceptOf(key: string): string {
	return createHash("sha1")
		.update(key + acceptGuid)
		.digest("base64");
}
