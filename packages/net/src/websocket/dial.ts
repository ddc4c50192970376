import type { ConnectionOptions } from "node:tls";
import type { Clock } from "@warren/kernel";
import WebSocket from "ws";
import { webSocketProtocol } from "../http/credentials.ts";
import { type AcceptOptions, WebSocketConnection, webSocketLimits } from "./connection.ts";

export interface DialOptions extends AcceptOptions {
	readonly headers?: Readonly<Record<string, string>>;
	/** Offered beside nothing else; `warren.v1` unless told. */
	readonly protocols?: readonly string[];
	readonly tls?: ConnectionOptions;
	/** For the whole handshake; 10 s unless told. */
	readonly timeoutMs?: number;
	readonly signal?: AbortSignal;
}

export type DialResult =
	| { readonly ok: true; readonly connection: WebSocketConnection }
	/** The server answered the upgrade with a plain status. */
	| { readonly ok: false; readonly status: number; readonly message: string }
	| { readonly ok: false; readonly status: null; readonly message: string; readonly cause: unknown };

/** Opens a WebSocket to a server. Refusals and faults are values. */
export function dialWebSocket(url: string, clock: Clock, options: DialOptions = {}): Promise<DialResult> {
	return new Promise((resolve) => {
		const ws = new WebSocket(url, [...(options.protocols ?? [webSocketProtocol])], {
			headers: { ...options.headers },
			handshakeTimeout: options.timeoutMs ?? 10_000,
			maxPayload: options.maxMessageBytes ?? webSocketLimits.maxMessageBytes,
			perMessageDeflate: false,
			followRedirects: false,
			...options.tls,
		});
		const abort = () => ws.terminate();
		options.signal?.addEventListener("abort", abort, { once: true });
		const settle = (result: DialResult) => {
			options.signal?.removeEventListener("abort", abort);
			resolve(result);
		};
		ws.once("upgrade", (response) => {
			response.socket.setNoDelay?.(true);
		});
		ws.once("open", () => {
			// A message that came with the handshake waits until whoever dialled has had a turn to listen.
			const connection = new WebSocketConnection(ws, null, new URL(url).host, clock, options);
			ws.pause();
			setImmediate(() => {
				if (!connection.isPaused) ws.resume();
			});
			settle({ ok: true, connection });
		});
		ws.once("unexpected-response", (_request, response) => {
			response.resume();
			settle({
				ok: false,
				status: response.statusCode ?? 0,
				message: `the server answered ${response.statusCode} to the upgrade`,
			});
			ws.terminate();
		});
		ws.on("error", (cause) => settle({ ok: false, status: null, message: cause.message, cause }));
		if (options.signal?.aborted) ws.terminate();
	});
}
