import type { Authenticator, Clock, Logger, Tracer } from "@warren/kernel";
import type { HostTable } from "./host-table.ts";
import type { Route } from "./route.ts";

export interface ListenerOptions {
	/** Names the listener in logs and in `status`: `node`, `coordinator`, … */
	readonly role: string;
	/** Address to bind; all of this machine's unless told. */
	readonly host?: string;
	/** 0 = any free one. */
	readonly port: number;
	/** Null = plain HTTP: the caller has made sure that this is loopback, or meant. */
	readonly tls: TlsIdentity | null;
	readonly hosts: HostTable;
	readonly routes: readonly Route[];
	readonly authenticator: Authenticator;
	/** Other origins whose pages may call; each gets CORS answers. Exact, like `tauri://localhost`. */
	readonly corsOrigins?: ReadonlySet<string>;
	/** Name of this install's session cookie, where cookies are a credential. */
	readonly cookieName?: string;
	readonly trustedProxies?: readonly string[];
	/** Instead of `listenerLimits`, one by one. */
	readonly limits?: Partial<ListenerLimits>;
}

export interface TlsIdentity {
	/** PEM, leaf first. */
	readonly cert: string;
	readonly key: string;
	/** PEM: ask every client for a certificate of this CA (TLS 1.3 only). */
	readonly clientCa?: string;
}

export interface ListenerDeps {
	readonly clock: Clock;
	readonly logger: Logger;
	/** Null or absent = no traces: a request then costs nothing more. */
	readonly tracer?: Tracer | null | undefined;
}

export interface ListenerLimits {
	readonly maxHeaderBytes: number;
	readonly maxHeadersCount: number;
	/** A request's head must be complete by then. */
	readonly headTimeoutMs: number;
	/** How often the head's deadline is looked at. */
	readonly headCheckMs: number;
	readonly tlsHandshakeMs: number;
	readonly keepAliveMs: number;
	/** So long nothing may move on a connection while it is the client's turn: its body's, or its reading of the answer. */
	readonly stallMs: number;
	/** Of a body, for routes that do not say. */
	readonly maxBodyBytes: number;
	/** Connections at once; more are cut before they cost a handshake. */
	readonly maxConnections: number;
	/** How long `close` lets requests finish before it cuts them. */
	readonly drainMs: number;
}

export const listenerLimits: ListenerLimits = {
	maxHeaderBytes: 16 * 1024,
	maxHeadersCount: 100,
	headTimeoutMs: 10_000,
	headCheckMs: 1_000,
	tlsHandshakeMs: 10_000,
	keepAliveMs: 65_000,
	stallMs: 75_000,
	maxBodyBytes: 64 * 1024,
	maxConnections: 8_192,
	drainMs: 5_000,
};
