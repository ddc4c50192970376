import { type ClientHttp2Session, connect as connectHttp2 } from "node:http2";
import { connect as connectTcp, type Socket } from "node:net";
import type { Duplex, Readable } from "node:stream";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { messageOf } from "@warren/kernel";
import { createWebSocketStream, WebSocket } from "ws";
import {
	agentHeader,
	agentNameHeader,
	serviceKindHeader,
	sharedProtocol,
	tunnelPath,
	tunnelProtocol,
} from "../protocol/endpoint.ts";

export type Transport = "parked" | "shared" | "websocket" | "http2";

export interface DialTarget {
	/** `https://host:port` of the backbone; `http:` on loopback. */
	readonly url: URL;
	readonly tls: ConnectionOptions;
	readonly transport: Transport;
}

export interface DialHeaders {
	readonly authorization?: string;
	readonly principal?: string;
	readonly agent?: string;
	readonly name?: string;
}

/** A channel that stands, or why not: the server's answer (its status) or the network's. */
export type Dialled =
	| {
			readonly ok: true;
			readonly channel: Duplex;
			/** Of the service that a visitor was let in to. */
			readonly serviceKind?: "tcp" | "udp";
	  }
	| { readonly ok: false; readonly status: number | null; readonly message: string; readonly retryAfterMs: number };

export const dialLimits = {
	timeoutMs: 10_000,
	maxAnswerBytes: 16 * 1024,
	/** The most that a server's Retry-After is heeded. */
	maxRetryAfterMs: 300_000,
	/** Of an HTTP/2 session and of each stream: a window of 64 KB would hold a stream to window / RTT. */
	windowBytes: 16 * 1024 * 1024,
	maxWebSocketBytes: 256 * 1024,
} as const;

/** Dials the backbone and parks one channel. Keeps one HTTP/2 session for all of its streams. */
export class Dialler {
	readonly #target: DialTarget;
	/** Where the next stream is asked for. */
	#session: ClientHttp2Session | null = null;
	/** All that stand, those included that are asked for nothing more. */
	readonly #sessions = new Set<ClientHttp2Session>();

	constructor(target: DialTarget) {
		this.#target = target;
	}

	/** @param path the tunnel, or a visitor's way to a service. */
	async dial(headers: DialHeaders, path: string = tunnelPath): Promise<Dialled> {
		try {
			return await this.#dial(headers, path);
		} catch (fault) {
			// What cannot even be asked: a token with characters that no field may hold.
			return unreachable(messageOf(fault));
		}
	}

	#dial(headers: DialHeaders, path: string): Promise<Dialled> {
		switch (this.#target.transport) {
			case "parked":
				return this.#dialUpgrade(headers, path, tunnelProtocol);
			case "shared":
				return this.#dialUpgrade(headers, path, sharedProtocol);
			case "websocket":
				return this.#dialWebSocket(headers, path);
			case "http2":
				return this.#dialHttp2(headers, path);
		}
	}

	close(): void {
		for (const session of this.#sessions) session.destroy();
		this.#session = null;
	}

	#fields(headers: DialHeaders): Record<string, string> {
		return {
			...(headers.authorization === undefined ? {} : { authorization: headers.authorization }),
			...(headers.principal === undefined ? {} : { "x-backbone-principal": headers.principal }),
			...(headers.agent === undefined ? {} : { [agentHeader]: headers.agent }),
			...(headers.name === undefined ? {} : { [agentNameHeader]: headers.name }),
		};
	}

	#connect(): Socket {
		const { url, tls } = this.#target;
		const host = url.hostname.replace(/^\[|\]$/g, "");
		const port = Number(url.port || (url.protocol === "https:" ? 443 : 80));
		const socket =
			url.protocol === "https:"
				? connectTls({ ...tls, host, port, ALPNProtocols: ["http/1.1"], ...servernameOf(host) })
				: connectTcp(port, host);
		socket.setNoDelay(true);
		socket.setKeepAlive(true, 30_000);
		return socket;
	}

	#dialUpgrade(headers: DialHeaders, path: string, protocol: string): Promise<Dialled> {
		return new Promise((resolve) => {
			const { url } = this.#target;
			const socket = this.#connect();
			let seen = Buffer.alloc(0);
			const settle = (result: Dialled) => {
				clearTimeout(late);
				socket.off("data", onData);
				socket.off("error", onError);
				socket.off("close", onClose);
				if (!result.ok) {
					socket.on("error", () => {});
					socket.destroy();
				} else socket.pause();
				resolve(result);
			};
			/** A refusal counts as far as it came. */
			const giveUp = (reason: string) => {
				const answer = answerIn(seen);
				if (answer === null) return settle(unreachable(reason));
				settle(refused(answer.status, fieldIn(answer.head, "retry-after"), answer.rest.toString("utf8")));
			};
			const onError = (fault: Error) => giveUp(fault.message);
			const onClose = () => giveUp("the connection was closed");
			const onData = (chunk: Buffer) => {
				seen = Buffer.concat([seen, chunk]);
				const answer = answerIn(seen);
				if (answer === null) {
					if (seen.length > dialLimits.maxAnswerBytes) settle(unreachable("the answer is not an HTTP answer"));
					return;
				}
				const { status, head, rest } = answer;
				if (status === 101 && head.toLowerCase().includes(`\r\nupgrade: ${protocol}\r\n`)) {
					const isUdp = head.toLowerCase().includes(`\r\n${serviceKindHeader}: udp\r\n`);
					settle({ ok: true, channel: socket, serviceKind: isUdp ? "udp" : "tcp" });
					// After the listener is gone: a flowing socket would hand it out again at once.
					if (rest.length > 0) socket.unshift(rest);
					return;
				}
				const bodyBytes = Number(fieldIn(head, "content-length") ?? 0);
				if (!(rest.length < Math.min(bodyBytes, dialLimits.maxAnswerBytes))) giveUp("refused");
			};
			const late = setTimeout(() => giveUp(`no answer within ${dialLimits.timeoutMs} ms`), dialLimits.timeoutMs);
			socket.on("error", onError);
			socket.on("close", onClose);
			socket.on("data", onData);
			const lines = Object.entries(this.#fields(headers)).map(([name, value]) => `${name}: ${value}\r\n`);
			socket.write(
				`GET ${path} HTTP/1.1\r\nHost: ${url.host}\r\nConnection: Upgrade\r\nUpgrade: ${protocol}\r\n${lines.join("")}\r\n`,
			);
		});
	}

	#dialWebSocket(headers: DialHeaders, path: string): Promise<Dialled> {
		return new Promise((resolve) => {
			const { url, tls } = this.#target;
			const ws = new WebSocket(`${url.protocol === "https:" ? "wss" : "ws"}://${url.host}${path}`, [tunnelProtocol], {
				headers: this.#fields(headers),
				handshakeTimeout: dialLimits.timeoutMs,
				maxPayload: dialLimits.maxWebSocketBytes,
				perMessageDeflate: false,
				followRedirects: false,
				...tls,
			});
			ws.once("upgrade", (response) => response.socket.setNoDelay(true));
			ws.once("open", () => {
				ws.removeAllListeners("error");
				resolve({ ok: true, channel: createWebSocketStream(ws) });
			});
			ws.once("unexpected-response", (_request, response) => {
				void bodyOf(response).then((body) => {
					resolve(refused(response.statusCode ?? 0, response.headers["retry-after"], body));
					ws.terminate();
				});
			});
			ws.on("error", (fault) => resolve(unreachable(fault.message)));
		});
	}

	#dialHttp2(headers: DialHeaders, path: string): Promise<Dialled> {
		return new Promise((resolve) => {
			const { url, tls } = this.#target;
			let session = this.#session;
			if (session === null || session.closed || session.destroyed) {
				const host = url.hostname.replace(/^\[|\]$/g, "");
				const made = connectHttp2(url.origin, {
					...tls,
					...servernameOf(host),
					settings: { initialWindowSize: dialLimits.windowBytes, enablePush: false },
				});
				made.on("error", () => {});
				this.#sessions.add(made);
				made.on("close", () => {
					this.#sessions.delete(made);
					if (this.#session === made) this.#session = null;
				});
				made.once("connect", () => made.setLocalWindowSize(dialLimits.windowBytes * 2));
				session = made;
				this.#session = made;
			}
			const stream = session.request(
				{ ":method": "POST", ":path": path, ...this.#fields(headers) },
				{ endStream: false },
			);
			const late = setTimeout(() => {
				settle(unreachable(`no answer within ${dialLimits.timeoutMs} ms`));
				// Its connection may be dead without a word: the next try gets another one, what runs on this one may finish.
				if (this.#session === session) this.#session = null;
				session.close();
			}, dialLimits.timeoutMs);
			const answered = () => {
				clearTimeout(late);
				stream.off("error", onError);
				stream.off("close", onClose);
			};
			const settle = (result: Dialled) => {
				answered();
				if (!result.ok) {
					stream.on("error", () => {});
					stream.close();
				}
				resolve(result);
			};
			const onError = (fault: Error) => settle(unreachable(fault.message));
			const onClose = () => settle(unreachable("the stream was closed"));
			stream.on("error", onError);
			stream.on("close", onClose);
			stream.once("response", (answer) => {
				const status = Number(answer[":status"]);
				if (status === 200) return settle({ ok: true, channel: stream });
				answered();
				void bodyOf(stream).then((body) => settle(refused(status, answer["retry-after"], body)));
			});
		});
	}
}

function servernameOf(host: string): { servername?: string } {
	return /^[\d.]+$|:/.test(host) ? {} : { servername: host };
}

function unreachable(message: string): Dialled {
	return { ok: false, status: null, message, retryAfterMs: 0 };
}

function refused(status: number, retryAfter: string | undefined, body: string): Dialled {
	return {
		ok: false,
		status,
		message: messageIn(body) ?? `the server answered ${status}`,
		retryAfterMs: retryAfterMs(retryAfter),
	};
}

/** Of an HTTP/1.1 answer as far as it came; null = not even its head. */
function answerIn(seen: Buffer): { status: number; head: string; rest: Buffer } | null {
	const end = seen.indexOf("\r\n\r\n");
	if (end === -1) return null;
	const head = seen.toString("latin1", 0, end + 2);
	return { status: Number(/^HTTP\/1\.1 (\d{3})/.exec(head)?.[1] ?? 0), head, rest: seen.subarray(end + 4) };
}

function fieldIn(head: string, name: string): string | undefined {
	return new RegExp(`\r\n${name}: *(.*)`, "i").exec(head)?.[1];
}

/** Of a refusal, as far as it comes: until it ends, breaks, takes too long, or is more than a refusal has. */
function bodyOf(answer: Readable): Promise<string> {
	return new Promise((resolve) => {
		const pieces: Buffer[] = [];
		let bytes = 0;
		const done = () => {
			clearTimeout(late);
			resolve(Buffer.concat(pieces).toString("utf8"));
		};
		const late = setTimeout(done, dialLimits.timeoutMs);
		answer.on("data", (piece: Buffer) => {
			pieces.push(piece);
			bytes += piece.length;
			if (bytes > dialLimits.maxAnswerBytes) done();
		});
		answer.once("end", done).once("error", done).once("close", done);
	});
}

/** Of an error's JSON, as far as it came; null = it has none. Control characters are for no terminal. */
function messageIn(body: string): string | null {
	const quoted = /"message":("(?:[^"\\]|\\.)*")/.exec(body)?.[1];
	try {
		return quoted === undefined ? null : (JSON.parse(quoted) as string).replace(/\p{Cc}/gu, " ");
	} catch {
		// Not JSON: the status says it.
		return null;
	}
}

/** Of seconds; a date, which some proxies give, is left to the backoff. */
function retryAfterMs(field: string | undefined): number {
	return /^\d+$/.test(field ?? "") ? Math.min(dialLimits.maxRetryAfterMs, Number(field) * 1000) : 0;
}
