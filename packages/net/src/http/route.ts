import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from "node:http";
import type { Duplex } from "node:stream";
import type { CredentialKind, Identity, WarrenError } from "@warren/kernel";
import type { z } from "zod";
import type { AcceptOptions, WebSocketConnection } from "../websocket/connection.ts";

export type Method = "GET" | "POST" | "PUT" | "PATCH" | "DELETE" | "ALL";

/** What every kind of route says about itself; a test enumerates them all. */
interface RouteFacts {
	/** The role that answers: `node`, `hub`, `gateway`, … One owner a path. */
	readonly owner: string;
	/** `/api/peers/:peer/pin`; a trailing `/*` takes the rest. Static segments win over parameters, those over `/*`. */
	readonly path: string;
	/** Kinds of credential that it takes; with `none` among them, identity may be null. */
	readonly credentials: readonly CredentialKind[];
	/** Where else than in Authorization this path's clients may put a bearer token. */
	readonly tokenPlaces?: TokenPlaces;
	/** For the API's own description (OpenAPI); null = no part of an API: a page, its script, a picture. */
	readonly about?: RouteAbout | null;
}

/** Vendors' SDKs send their key, and so our token, each in a place of its own. */
export interface TokenPlaces {
	/** Lower-case names. */
	readonly headers: readonly string[];
	readonly query?: string;
}

/** What a route does, for people and programs that read the API's description. */
export interface RouteAbout {
	/** One line, no full stop. */
	readonly summary: string;
	/** What the handler reads after the `?`. */
	readonly query?: z.ZodObject;
	/** The schema that the handler reads its JSON body with. */
	readonly body?: z.ZodType;
	/** By status, where there is more to say than "done". */
	readonly answers?: Readonly<Record<number, string>>;
	/** Of a route that stands for many paths: those that clients use. */
	readonly paths?: readonly {
		readonly method: Method;
		readonly path: string;
		readonly summary: string;
		readonly body?: z.ZodType;
	}[];
}

/** Answers with a standard Response. The usual kind. */
export interface HandleRoute extends RouteFacts {
	readonly method: Method;
	/** Largest body that `context.json` and `context.request` read; 64 KiB unless told. */
	readonly maxBodyBytes?: number;
	readonly handle: (context: RequestContext) => Response | Promise<Response>;
}

/** Works on Node's own streams: relays, uploads, proxies. The body is not touched before. */
export interface StreamRoute extends RouteFacts {
	readonly method: Method;
	readonly stream: (
		context: RequestContext,
		incoming: IncomingMessage,
		outgoing: ServerResponse,
	) => void | Promise<void>;
}

/** A WebSocket. Whatever `open` throws becomes a close code after the upgrade. */
export interface WebSocketRoute extends RouteFacts {
	readonly method: "WS";
	readonly open: (context: RequestContext, upgrade: Upgrade) => void | Promise<void>;
}

/** A WebSocket that somebody else serves, by the answer to its upgrade. Where requests come through Fetch alone. */
export interface ForwardRoute extends RouteFacts {
	readonly method: "WS";
	readonly forward: (context: RequestContext) => Response | Promise<Response>;
}

export type Route = HandleRoute | StreamRoute | WebSocketRoute | ForwardRoute;

/** One request after Host, Origin and credential were checked. */
export interface RequestContext {
	readonly method: string;
	/** As sent, before the `?`, undecoded. */
	readonly path: string;
	readonly query: URLSearchParams;
	/** Path parameters, decoded; `/*` is `rest`, undecoded and without its leading slash. */
	readonly params: Readonly<Record<string, string>>;
	readonly headers: IncomingHttpHeaders;
	/** Null only where the route takes `none` and nothing was offered. */
	readonly identity: Identity | null;
	/** Which kind of credential proved it. */
	readonly credential: CredentialKind;
	/** Authorization for the far side of a relay, where a WebSocket ticket carried one. A secret. */
	readonly upstreamAuthorization: string | null;
	/** The client's address, after trusted proxies. */
	readonly remoteAddress: string;
	/** `https://host:port` as the client named this server. */
	readonly origin: string;
	/** Aborted when the client leaves before the answer ended. */
	readonly signal: AbortSignal;
	/** The same request in standard form, its body bounded by `maxBodyBytes`. For HandleRoute only. */
	readonly request: Request;
	/** @throws WarrenError 400 `bad_request`, 413 `body_too_large`, 415 `not_json`. */
	json<S extends z.ZodType>(schema: S): Promise<z.infer<S>>;
}

/** An upgrade that was authenticated and waits for the route's word. */
export interface Upgrade {
	/** Completes the handshake. */
	accept(options?: AcceptOptions): WebSocketConnection;
	/** Completes the handshake and closes with a code, so that browsers can tell why. */
	refuse(closeCode: number, error: WarrenError): void;
	/** Hands over the bare socket, flowing; the handshake is the caller's, who listens at once. For splicing relays. */
	take(): { readonly request: IncomingMessage; readonly socket: Duplex; readonly head: Buffer };
}
