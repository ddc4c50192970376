import type { IncomingHttpHeaders } from "node:http";
import { type Clock, type CloseCode, type Identity, type Logger, WarrenError } from "@warren/kernel";
import { webSocketProtocol } from "../http/credentials.ts";
import { listenerLimits } from "../http/listener-options.ts";
import { closeCodeFor, closeReason } from "../http/pending-upgrade.ts";
import { bodyTooLarge, boundedRequest, wholeRequest, withBody } from "../http/request-context.ts";
import { type AcceptedTarget, RequestGate, type RequestGateOptions, type RequestHead } from "../http/request-gate.ts";
import { asWarrenError, errorResponse, faultLine, httpError } from "../http/responses.ts";
import type { RequestContext, Route, Upgrade } from "../http/route.ts";
import { type AcceptOptions, WebSocketConnection, webSocketLimits } from "../websocket/connection.ts";
import { PairedSocket, type WorkerSocket } from "./paired-socket.ts";
import { StreamAnswer, streamedRequest } from "./stream-answer.ts";

export interface FetchListenerOptions extends RequestGateOptions {
	/** Names the listener in logs. */
	readonly role: string;
	/** The client's address: on Workers a header that the platform itself writes. */
	readonly remoteAddressOf: (request: Request) => string;
	/** A new pair of sockets; without it, WebSockets are refused. On Workers: `WebSocketPair`. */
	readonly pair?: () => { readonly client: unknown; readonly server: WorkerSocket };
	readonly maxBodyBytes?: number;
}

export interface FetchListenerDeps {
	readonly clock: Clock;
	readonly logger: Logger;
}

/**
 * The same routes as a `Listener`'s, judged in the same order, where requests come as Fetch's Request: Workers. It has
 * no port, no certificate and no connections of its own: those are the platform's.
 */
export class FetchListener {
	readonly role: string;
	readonly #deps: FetchListenerDeps;
	readonly #options: FetchListenerOptions;
	readonly #gate: RequestGate;
	readonly #connections = new Map<WebSocketConnection, Identity | null>();
	readonly #streams = new Map<StreamAnswer, Identity | null>();

	constructor(deps: FetchListenerDeps, options: FetchListenerOptions) {
		this.role = options.role;
		this.#deps = deps;
		this.#options = options;
		this.#gate = new RequestGate(options);
	}

	get webSocketCount(): number {
		return this.#connections.size;
	}

	routes(): readonly Route[] {
		return this.#gate.routes();
	}

	/** Ends what is open on somebody's behalf. @returns how many were ended. */
	disconnect(matches: (identity: Identity) => boolean, code: CloseCode, reason: string): number {
		const owned = (identity: Identity | null) => identity !== null && matches(identity);
		const connections = [...this.#connections].filter(([, identity]) => owned(identity));
		const streams = [...this.#streams].filter(([, identity]) => owned(identity));
		for (const [connection] of connections) void connection.close(code, reason);
		for (const [stream] of streams) stream.destroy();
		return connections.length + streams.length;
	}

	/** Answers; never throws. */
	async fetch(request: Request): Promise<Response> {
		const head = headOf(request, this.#options.remoteAddressOf(request));
		const cors = this.#gate.corsHeaders(head.headers.origin);
		const response = await this.#judge(request, head, cors);
		// A WebSocket's answer is the platform's, and carries no CORS.
		if (Object.keys(cors).length === 0 || response.status === 101) return response;
		const headers = new Headers(response.headers);
		for (const [name, value] of Object.entries(cors)) headers.set(name, value);
		return new Response(response.body, { status: response.status, headers });
	}

	async #judge(request: Request, head: RequestHead, cors: Record<string, string>): Promise<Response> {
		let isTaken = false;
		try {
			const target = this.#gate.readTarget(head);
			if (head.headers.upgrade?.toLowerCase() === "websocket") return await this.#upgrade(request, head, target);
			if (request.method === "OPTIONS" && Object.keys(cors).length > 0) return new Response(null, { status: 204 });
			const { route, params } = this.#gate.findRoute(request.method, target.path);
			isTaken = true;
			if (request.method !== "GET" && request.method !== "HEAD") this.#gate.checkOrigin(head, target.origin);
			const who = await this.#gate.authenticate(head, route, target, false);
			const context = contextOf(request, head, target, params, who);
			if ("stream" in route) return await this.#stream(route, context, request, head);
			if (!("handle" in route)) throw httpError("not_found", `There is nothing at ${target.path.slice(0, 200)}.`);
			const maxBodyBytes = route.maxBodyBytes ?? this.#options.maxBodyBytes ?? listenerLimits.maxBodyBytes;
			if (Number(head.headers["content-length"] ?? 0) > maxBodyBytes) throw bodyTooLarge(maxBodyBytes);
			const bounded = boundedRequest(request, maxBodyBytes);
			if (who.identity === null || request.body === null) return await route.handle(withBody(context, bounded));
			const whole = await wholeRequest(bounded);
			// Who holds a body back may lose their rights meanwhile.
			const still = await this.#gate.authenticate(head, route, target, false);
			return await route.handle(withBody(contextOf(request, head, target, params, still), whole));
		} catch (thrown) {
			this.#logFault(thrown, head);
			const error = asWarrenError(thrown);
			return errorResponse(error, {}, isTaken ? null : this.#gate.pageOf(head, error));
		}
	}

	async #stream(
		route: Extract<Route, { stream: unknown }>,
		context: RequestContext & { readonly left: () => void },
		request: Request,
		head: RequestHead,
	): Promise<Response> {
		const answer = new StreamAnswer();
		this.#streams.set(answer, context.identity);
		answer.once("close", () => {
			this.#streams.delete(answer);
			if (!answer.writableFinished) context.left();
		});
		request.signal?.addEventListener("abort", () => answer.leave(), { once: true });
		const incoming = streamedRequest(request, head.target, head.headers);
		const done = (async () => route.stream(context, incoming as never, answer as never))();
		const failed = done.then(
			() => answer.response,
			(thrown: unknown) => {
				this.#logFault(thrown, head);
				if (answer.headersSent) {
					answer.destroy();
					return answer.response;
				}
				answer.leave();
				return errorResponse(asWarrenError(thrown));
			},
		);
		// The head may be out long before the route is done.
		return Promise.race([answer.response, failed]);
	}

	async #upgrade(request: Request, head: RequestHead, target: AcceptedTarget): Promise<Response> {
		const { pair } = this.#options;
		const { route, params } = this.#gate.findRoute("WS", target.path);
		this.#gate.checkOrigin(head, target.origin);
		if (pair === undefined) throw httpError("unavailable", "WebSockets are not served here.");
		const upgrade = new FetchUpgrade(head, this.#deps.clock, pair);
		try {
			const who = await this.#gate.authenticate(head, route, target, true);
			const context = contextOf(request, head, target, params, who);
			if ("forward" in route) return await route.forward(context);
			upgrade.onAccept = (connection) => {
				this.#connections.set(connection, who.identity);
				connection.onClose(() => this.#connections.delete(connection));
			};
			if (!("open" in route)) throw httpError("not_found", `There is no WebSocket at ${target.path.slice(0, 200)}.`);
			await route.open(context, upgrade);
		} catch (thrown) {
			this.#logFault(thrown, head);
			const error = asWarrenError(thrown);
			upgrade.refuse(closeCodeFor(error), error);
		}
		if (upgrade.response === null) throw httpError("internal", "The WebSocket was not answered.");
		return upgrade.response;
	}

	#logFault(thrown: unknown, head: RequestHead): void {
		if (thrown instanceof WarrenError && (thrown.status < 500 || thrown.status === 503 || thrown.status === 502))
			return;
		this.#deps.logger.error("request failed", {
			role: this.role,
			method: head.method,
			path: (head.target.split("?")[0] as string).slice(0, 200),
			fault: faultLine(thrown),
		});
	}
}

/** An upgrade whose socket is one end of a pair. */
class FetchUpgrade implements Upgrade {
	readonly #head: RequestHead;
	readonly #clock: Clock;
	readonly #pair: NonNullable<FetchListenerOptions["pair"]>;
	onAccept: (connection: WebSocketConnection) => void = () => {};
	response: Response | null = null;

	constructor(head: RequestHead, clock: Clock, pair: NonNullable<FetchListenerOptions["pair"]>) {
		this.#head = head;
		this.#clock = clock;
		this.#pair = pair;
	}

	accept(options: AcceptOptions = {}): WebSocketConnection {
		const offered = String(this.#head.headers["sec-websocket-protocol"] ?? "")
			.split(",")
			.map((each) => each.trim());
		const protocol = [...(options.subprotocols ?? []), webSocketProtocol].find((each) => offered.includes(each)) ?? "";
		const { client, server } = this.#pair();
		const socket = new PairedSocket(server, protocol, options.maxMessageBytes ?? webSocketLimits.maxMessageBytes);
		const connection = new WebSocketConnection(socket as never, null, this.#head.remoteAddress, this.#clock, options);
		this.onAccept(connection);
		this.response = switching(client, protocol);
		return connection;
	}

	refuse(closeCode: number, error: WarrenError): void {
		if (this.response !== null) return;
		void this.accept().close(closeCode, closeReason(error));
	}

	take(): never {
		throw httpError("unavailable", "This WebSocket cannot be passed on here.");
	}
}

/** The answer that completes a handshake (RFC 6455 §4.2.2), as Workers want it. */
export function switching(client: unknown, protocol: string): Response {
	const headers = protocol === "" ? {} : { "sec-websocket-protocol": protocol };
	return new Response(null, { status: 101, webSocket: client, headers } as ResponseInit);
}

function headOf(request: Request, remoteAddress: string): RequestHead {
	const url = new URL(request.url);
	const headers: IncomingHttpHeaders = Object.fromEntries(request.headers);
	headers.host ??= url.host;
	// The platform has taken the framing off: that there is a body of unknown length must still show.
	if (request.body !== null && headers["content-length"] === undefined) headers["transfer-encoding"] ??= "chunked";
	return {
		method: request.method,
		target: request.url.slice(url.origin.length).split("#")[0] as string,
		headers,
		countOf: (name) => (headers[name] === undefined ? 0 : 1),
		secure: url.protocol === "https:",
		localAddress: undefined,
		remoteAddress,
		throughProxy: false,
		certificate: () => null,
	};
}

function contextOf(
	request: Request,
	head: RequestHead,
	target: AcceptedTarget,
	params: Readonly<Record<string, string>>,
	who: Pick<RequestContext, "identity" | "credential" | "upstreamAuthorization">,
): RequestContext & { readonly left: () => void } {
	const gone = new AbortController();
	const left = () => gone.abort(new Error("the client left"));
	request.signal?.addEventListener("abort", left, { once: true });
	return {
		method: request.method,
		...target,
		params,
		headers: head.headers,
		...who,
		remoteAddress: head.remoteAddress,
		signal: gone.signal,
		get request(): Request {
			throw new Error("only a HandleRoute has a standard request");
		},
		json: () => Promise.reject(new Error("only a HandleRoute reads JSON")),
		left,
	};
}
