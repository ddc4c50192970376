import type { IncomingHttpHeaders } from "node:http2";
import type { Caller } from "../../identity/callers.ts";
import { isForbiddenTrailer } from "../../protocol/chunked.ts";
import { isReservedName } from "../../protocol/reserved-names.ts";
import { cookieWithoutToken } from "../credentials.ts";

/** Of this hop, or said by us alone. */
const dropped: ReadonlySet<string> = new Set([
	"connection",
	"keep-alive",
	"proxy-connection",
	"transfer-encoding",
	"upgrade",
	"host",
	"forwarded",
	"x-forwarded-for",
	"x-forwarded-host",
	"x-forwarded-proto",
	"x-forwarded-port",
	"x-real-ip",
	"http2-settings",
	"proxy-authorization",
]);

/**
 * Interim answers (1xx) of one request that are passed on where HTTP/2 is on either side, which holds none of them back
 * for a client that does not read. Later ones say nothing that a client must know.
 */
export const maxInterimAnswers = 1_000;

/** What the backbone says of a request, beside who makes it. */
export interface ForwardedFacts {
	/** Without a URL token. */
	readonly target: string;
	readonly authority: string;
	readonly forwardedFor: string;
	readonly secure: boolean;
}

/** The request as the target gets it: identity comes last, and once. */
export function forwardedHeaders(
	headers: IncomingHttpHeaders,
	facts: ForwardedFacts,
	caller: Caller,
): IncomingHttpHeaders {
	const scheme = facts.secure ? "https" : "http";
	const out: IncomingHttpHeaders = {
		":method": headers[":method"],
		":scheme": scheme,
		":authority": facts.authority,
		":path": facts.target,
	} as IncomingHttpHeaders;
	for (const [name, value] of Object.entries(headers))
		if (!name.startsWith(":") && !dropped.has(name) && !isReservedName(name) && (name !== "te" || value === "trailers"))
			out[name] = value;
	if (typeof out.cookie === "string") {
		const cookie = cookieWithoutToken(out.cookie);
		if (cookie === "") delete out.cookie;
		else out.cookie = cookie;
	}
	out["x-forwarded-for"] = facts.forwardedFor;
	out["x-forwarded-proto"] = scheme;
	out["x-forwarded-host"] = facts.authority;
	for (const line of caller.lines.split("\r\n")) {
		const colon = line.indexOf(":");
		if (colon > 0) out[line.slice(0, colon)] = line.slice(colon + 2);
	}
	return out;
}

/** A service's answer as it may be passed on. */
export function answerHeaders(headers: IncomingHttpHeaders, afterUrlToken: boolean): IncomingHttpHeaders {
	const out: IncomingHttpHeaders = {};
	for (const [name, value] of Object.entries(headers))
		if (!dropped.has(name) && !isReservedName(name) && name !== "te") out[name] = value;
	if (afterUrlToken) out["referrer-policy"] = "no-referrer";
	return out;
}

/** Either way: fields of ours and fields that must not be trailers are gone. */
export function passedTrailers(headers: IncomingHttpHeaders): IncomingHttpHeaders {
	const out: IncomingHttpHeaders = {};
	for (const [name, value] of Object.entries(headers))
		if (!name.startsWith(":") && !dropped.has(name) && !isReservedName(name) && !isForbiddenTrailer(name))
			out[name] = value;
	return out;
}

/** A field that counts once: a list is more than one, malformed as the empty string is. */
export function single(value: string | string[] | undefined): string | null {
	if (value === undefined) return null;
	return typeof value === "string" && !value.includes(",") ? value : "";
}
