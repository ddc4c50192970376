import type { IncomingMessage } from "node:http";
import type { Duplex } from "node:stream";
import { closeCodes, type WarrenError } from "@warren/kernel";
import type { AcceptOptions, WebSocketConnection } from "../websocket/connection.ts";
import { httpError } from "./responses.ts";
import type { Upgrade } from "./route.ts";

/** What a listener does for an upgrade once its route has decided. */
export interface UpgradeHost {
	completeHandshake(
		incoming: IncomingMessage,
		socket: Duplex,
		head: Buffer,
		options: AcceptOptions,
	): WebSocketConnection;
	handOver(incoming: IncomingMessage, socket: Duplex): void;
}

/** What a client may send before its upgrade is answered; the rest waits in its own system. */
const maxHeldBytes = 64 * 1024;

/**
 * An upgrade between its arrival and its one answer. Keeps reading meanwhile: a socket that nobody reads does not tell
 * that its client has left.
 */
export class PendingUpgrade implements Upgrade {
	readonly #host: UpgradeHost;
	readonly #incoming: IncomingMessage;
	readonly #socket: Duplex;
	readonly #held: Buffer[];
	#heldBytes: number;
	#used = false;

	constructor(host: UpgradeHost, incoming: IncomingMessage, socket: Duplex, head: Buffer) {
		this.#host = host;
		this.#incoming = incoming;
		this.#socket = socket;
		this.#held = [head];
		this.#heldBytes = head.length;
		socket.on("data", this.#hold);
		socket.once("end", this.#left);
	}

	readonly #hold = (chunk: Buffer) => {
		this.#held.push(chunk);
		this.#heldBytes += chunk.length;
		if (this.#heldBytes > maxHeldBytes) this.#socket.pause();
	};

	readonly #left = () => this.#socket.destroy();

	accept(options: AcceptOptions = {}): WebSocketConnection {
		const head = this.#use();
		const connection = this.#host.completeHandshake(this.#incoming, this.#socket, head, options);
		this.#socket.resume();
		return connection;
	}

	refuse(closeCode: number, error: WarrenError): void {
		if (this.#used) {
			this.#socket.destroy();
			return;
		}
		const connection = this.accept();
		void connection.close(closeCode, closeReason(error));
	}

	take(): { request: IncomingMessage; socket: Duplex; head: Buffer } {
		const head = this.#use();
		this.#host.handOver(this.#incoming, this.#socket);
		return { request: this.#incoming, socket: this.#socket, head };
	}

	/** @returns what the client has sent already. The socket flows: whoever takes over listens before control returns. */
	#use(): Buffer {
		if (this.#used) throw new Error("this upgrade was already answered");
		this.#used = true;
		this.#socket.off("data", this.#hold);
		this.#socket.off("end", this.#left);
		return Buffer.concat(this.#held);
	}
}

/** `{"error","message"}` in the 123 bytes that a close frame has (RFC 6455 §5.5); the message gives way. */
export function closeReason(error: WarrenError): string {
	const relay = error.details["relay"] === undefined ? {} : { relay: error.details["relay"] };
	for (let length = error.message.length; ; length = Math.max(0, length - 8)) {
		const reason = JSON.stringify({ error: error.code, ...relay, message: error.message.slice(0, length) });
		if (Buffer.byteLength(reason) <= 123 || length === 0) return reason;
	}
}

/** The close code that stands for an HTTP status, once the upgrade has been completed. */
export function closeCodeFor(error: WarrenError): number {
	switch (error.status) {
		case 401:
			return closeCodes.signIn;
		case 403:
			return closeCodes.forbidden;
		case 404:
			return closeCodes.unknown;
		case 429:
		case 500:
		case 502:
		case 503:
			return closeCodes.unavailable;
		default:
			return closeCodes.badRequest;
	}
}

/**
 * RFC 6455 §4.2.1, before anything else is done for an upgrade: whoever is refused after this can be told why by a close
 * code, and whoever is relayed has a key to answer.
 * @throws WarrenError 400.
 */
export function assertHandshake(incoming: IncomingMessage): void {
	const key = incoming.headers["sec-websocket-key"];
	if (
		incoming.method !== "GET" ||
		incoming.headers["sec-websocket-version"] !== "13" ||
		key === undefined ||
		!/^[A-Za-z0-9+/]{22}==$/.test(key)
	) {
		throw httpError("bad_request", "The WebSocket handshake is malformed: it needs GET, version 13 and a 16-byte key.");
	}
}

/** What could not be read as a request: too long a head, too slow a head, or not HTTP at all. */
export function refuseSocket(socket: Duplex, code: string | undefined): void {
	const status =
		code === "HPE_HEADER_OVERFLOW"
			? "431 Request Header Fields Too Large"
			: code === "ERR_HTTP_REQUEST_TIMEOUT"
				? "408 Request Timeout"
				: "400 Bad Request";
	// A fault below HTTP (a handshake that never ends) leaves nothing to write on: the answer would wait for ever.
	const isHttp = code === "ERR_HTTP_REQUEST_TIMEOUT" || code?.startsWith("HPE_") === true;
	if (!isHttp || !socket.writable) return void socket.destroy();
	// Cut once the answer is out: the far side need not close its half.
	socket.end(`HTTP/1.1 ${status}\r\nConnection: close\r\nContent-Length: 0\r\n\r\n`, () => socket.destroy());
}

export function refuseUpgrade(socket: Duplex, error: WarrenError): void {
	const body = JSON.stringify(error.toBody());
	socket.end(
		`HTTP/1.1 ${error.status} Refused\r\nConnection: close\r\nContent-Type: application/json\r\nX-Content-Type-Options: nosniff\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`,
		() => socket.destroy(),
	);
}
