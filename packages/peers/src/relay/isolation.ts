import type { IncomingHttpHeaders } from "node:http";
import { dataHeaders } from "@warren/net";
import { peerError } from "../errors.ts";

/**
 * A peer may be hostile, and its answers arrive on this node's origin: so they are data, never documents. What goes out
 * and what comes back is an allow-list each; whatever is not on it does not pass.
 */
export const hopHeader = "x-warren-hops";
export const relayHeader = "x-warren-relay";
export const upstreamAuthorizationHeader = "x-mobux-upstream-authorization";
export const maxHops = 4;

const forwardedRequestHeaders = [
	"accept",
	"accept-language",
	"content-type",
	"content-length",
	"if-match",
	"if-none-match",
	"if-modified-since",
	"if-unmodified-since",
	"range",
	"user-agent",
	// Which request of ours this one is part of, for whoever traces both machines.
	"traceparent",
] as const;
const forwardedResponseHeaders = [
	"content-length",
	"content-range",
	"accept-ranges",
	"etag",
	"last-modified",
	"retry-after",
	"x-warren-auth",
] as const;

/** @throws WarrenError `relay_refused` for what a browser would treat as a document, a script or a navigation. */
export function assertData(headers: IncomingHttpHeaders, destination: "empty" | "websocket"): void {
	const dest = headers["sec-fetch-dest"];
	// Browsers differ in what they call a WebSocket's destination.
	if (dest !== undefined && dest !== destination && dest !== "empty")
		throw peerError("relay_refused", `The relay answers requests for data, not for "${String(dest).slice(0, 20)}".`);
	const site = headers["sec-fetch-site"];
	if (site !== undefined && site !== "same-origin")
		throw peerError("relay_refused", "The relay answers only pages of this node.");
	if (headers["service-worker"] !== undefined)
		throw peerError("relay_refused", "The relay never serves a service worker.");
}

/** @throws WarrenError `too_many_hops`, `bad_request`. */
export function nextHop(headers: IncomingHttpHeaders): string {
	const value = headers[hopHeader];
	if (value === undefined) return "1";
	if (typeof value !== "string" || !/^\d{1,2}$/.test(value))
		throw peerError("bad_request", `The header ${hopHeader} must be a small number.`);
	const hops = Number(value) + 1;
	if (hops > maxHops) throw peerError("too_many_hops", `This request has passed ${maxHops} relays.`);
	return String(hops);
}

/** The peer's credential: exactly one, well-formed, or none. @throws WarrenError `bad_request`. */
export function upstreamAuthorization(headers: IncomingHttpHeaders): string | null {
	const value = headers[upstreamAuthorizationHeader];
	if (value === undefined) return null;
	if (typeof value !== "string" || !/^[A-Za-z]+ [\x21-\x7e]+$/.test(value) || value.length > 8192) {
		throw peerError("bad_request", "The header X-Mobux-Upstream-Authorization must be one Authorization value.");
	}
	return value;
}

export function outgoingHeaders(
	headers: IncomingHttpHeaders,
	authorization: string | null,
	hops: string,
): Record<string, string> {
	const forwarded: Record<string, string> = { "accept-encoding": "identity", [hopHeader]: hops };
	for (const name of forwardedRequestHeaders) {
		const value = headers[name];
		if (typeof value === "string") forwarded[name] = value;
	}
	if (authorization !== null) forwarded["authorization"] = authorization;
	return forwarded;
}

/** Headers of a relayed answer. The type is one of three that no browser renders. */
export function incomingHeaders(headers: IncomingHttpHeaders): Record<string, string> {
	const passed: Record<string, string> = {};
	for (const name of forwardedResponseHeaders) {
		const value = headers[name];
		if (typeof value === "string") passed[name] = value;
	}
	const type = (headers["content-type"] ?? "").split(";")[0]?.trim().toLowerCase() ?? "";
	if (type === "application/json" || type === "text/event-stream") passed["content-type"] = type;
	else {
		passed["content-type"] = "application/octet-stream";
		passed["content-disposition"] = "attachment";
	}
	return {
		...passed,
		...dataHeaders,
		"content-security-policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
		[relayHeader]: "0",
	};
}
