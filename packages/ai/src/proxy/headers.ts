import type { IncomingHttpHeaders } from "node:http";
import type { Provider } from "../providers/provider-table.ts";

/** RFC 9110 §7.6.1, and what belongs to one connection. */
const hopByHop = [
	"connection",
	"keep-alive",
	"proxy-connection",
	"proxy-authenticate",
	"proxy-authorization",
	"te",
	"trailer",
	"transfer-encoding",
	"upgrade",
	"expect",
];

const credentials = ["authorization", "cookie", "x-api-key", "x-goog-api-key", "api-key", "x-provider-api-key"];

/** What says who asks, from where, or which of the key's accounts to use; none of it is the vendor's business. */
const identifying = [
	"host",
	"origin",
	"referer",
	"forwarded",
	"via",
	"x-real-ip",
	"x-forwarded-for",
	"x-forwarded-host",
	"x-forwarded-proto",
	"x-forwarded-port",
	"openai-organization",
	"openai-project",
	"x-goog-user-project",
];

const notForward = new Set([...hopByHop, ...credentials, ...identifying, "accept-encoding", "content-length"]);
const privatePrefixes = /^(x-warren-|x-mobux-|sec-|cf-|x-forwarded-)/;

/**
 * A request's headers as the provider gets them: its own key, nothing of the caller's. `identity`, so that what is
 * metered is what is sent on.
 */
export function upstreamHeaders(
	headers: IncomingHttpHeaders,
	provider: Provider,
	key: string | null,
): Record<string, string> {
	const named = namedByConnection(headers);
	const passed: Record<string, string> = {};
	for (const name in headers) {
		if (notForward.has(name) || privatePrefixes.test(name) || named?.has(name) === true) continue;
		const value = headers[name];
		if (value !== undefined) passed[name] = typeof value === "string" ? value : value.join(", ");
	}
	passed["accept-encoding"] = "identity";
	if (key !== null) {
		if (provider.auth === "bearer") passed["authorization"] = `Bearer ${key}`;
		else if (provider.auth !== "none") passed[provider.auth] = key;
	}
	return passed;
}

const notBack = new Set([
	...hopByHop,
	"set-cookie",
	"server",
	"alt-svc",
	"strict-transport-security",
	"location",
	"refresh",
	"link",
	"openai-organization",
	"openai-project",
	"anthropic-organization-id",
	"www-authenticate",
	"cache-control",
	"x-accel-buffering",
	"content-security-policy",
	"x-content-type-options",
	"report-to",
	"nel",
	"via",
]);
const notBackPrefixes = /^(access-control-|cf-|x-warren-|x-envoy-|cross-origin-)/;

/**
 * An answer's headers as the caller gets them. It stands on this hub's own origin, so it can be no page, no script and
 * no cookie of it, whatever the far side says.
 */
export function downstreamHeaders(headers: IncomingHttpHeaders, provider: Provider): Record<string, string | string[]> {
	const named = namedByConnection(headers);
	const passed: Record<string, string | string[]> = {};
	for (const name in headers) {
		if (notBack.has(name) || notBackPrefixes.test(name) || named?.has(name) === true) continue;
		const value = headers[name];
		if (value !== undefined) passed[name] = value;
	}
	passed["cache-control"] = "no-cache, no-transform";
	passed["x-accel-buffering"] = "no";
	passed["x-content-type-options"] = "nosniff";
	passed["content-security-policy"] = "default-src 'none'; frame-ancestors 'none'; sandbox";
	passed["x-warren-upstream"] = provider.id;
	return passed;
}

function namedByConnection(headers: IncomingHttpHeaders): ReadonlySet<string> | null {
	const { connection } = headers;
	if (connection === undefined || connection === "keep-alive" || connection === "close") return null;
	return new Set(connection.split(",").map((name) => name.trim().toLowerCase()));
}
