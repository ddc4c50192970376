import type { IncomingHttpHeaders } from "node:http";
import type { Credential } from "@warren/kernel";
import type { TokenPlaces } from "./route.ts";

/** The one subprotocol that is ever echoed. */
export const webSocketProtocol = "warren.v1";
export const setupHeader = "x-warren-setup";

const maxCredentialLength = 8192;

/**
 * What a request offers as proof, or null when it offers nothing. Two different proofs in one request are malformed:
 * never choose between them.
 * @param cookieName this install's session cookie; null where cookies are no credential.
 * @param elsewhere bearer tokens that the route's own places carried.
 */
export function parseCredential(
	headers: IncomingHttpHeaders,
	upgrade: boolean,
	cookieName: string | null,
	elsewhere: readonly string[] = [],
): Credential | null {
	const offered: Credential[] = [];
	if (headers.authorization !== undefined) offered.push(parseAuthorization(headers.authorization));
	for (const token of elsewhere) {
		const credential = parseBearer(token);
		// The same one twice is one: some clients fill every place that they know.
		const before = offered[0];
		if (before?.scheme === "bearer" && credential.scheme === "bearer" && before.token === credential.token) continue;
		offered.push(credential);
	}
	const setup = headers[setupHeader];
	if (setup !== undefined) {
		offered.push(
			typeof setup === "string" && setup.length > 0 && setup.length <= 256
				? { scheme: "setup", secret: setup }
				: malformed("the setup secret"),
		);
	}
	if (upgrade) {
		const token = parseSubprotocol(headers["sec-websocket-protocol"]);
		if (token !== null) offered.push(token);
	}
	if (offered.length > 1) return malformed("the request: it offers more than one credential");
	if (offered[0] !== undefined) return offered[0];
	const cookie = cookieName === null ? null : readCookie(headers.cookie, cookieName);
	return cookie === null ? null : { scheme: "bearer", token: cookie, from: "cookie" };
}

function parseAuthorization(header: string): Credential {
	if (header.length > maxCredentialLength) return malformed("the Authorization header: it is too long");
	const match = /^([A-Za-z]+) +([^\s].*)$/.exec(header);
	if (match === null) return malformed("the Authorization header");
	const scheme = (match[1] as string).toLowerCase();
	const value = (match[2] as string).trimEnd();
	if (scheme === "bearer") return parseBearer(value);
	if (scheme !== "basic")
		return malformed(`the Authorization scheme "${scheme.slice(0, 20)}": Basic and Bearer are known`);
	if (!/^[A-Za-z0-9+/]*={0,2}$/.test(value)) return malformed("the Basic credential: it is not base64");
	const decoded = Buffer.from(value, "base64").toString("utf8");
	const colon = decoded.indexOf(":");
	if (colon <= 0) return malformed("the Basic credential: it must be user:pin");
	return { scheme: "basic", user: decoded.slice(0, colon), password: decoded.slice(colon + 1) };
}

function parseBearer(token: string): Credential {
	return token.length <= maxCredentialLength && /^[A-Za-z0-9._~+/=-]+$/.test(token)
		? { scheme: "bearer", token, from: "header" }
		: malformed("the bearer token");
}

/** The tokens in a route's own places, in their order; a place that stands twice counts as two. */
export function tokensElsewhere(
	places: TokenPlaces | undefined,
	headers: IncomingHttpHeaders,
	query: URLSearchParams,
): readonly string[] {
	if (places === undefined) return [];
	const found: string[] = [];
	for (const name of places.headers) {
		const value = headers[name];
		if (value !== undefined) found.push(...(Array.isArray(value) ? value : [value]));
	}
	if (places.query !== undefined) found.push(...query.getAll(places.query));
	return found;
}

/** `warren.v1, bearer.<token>` or `warren.v1, ticket.<t>`: the ways of a browser, which cannot set headers. */
function parseSubprotocol(header: string | undefined): Credential | null {
	if (header === undefined) return null;
	const offers = header.split(",").map((each) => each.trim());
	const proofs = offers.filter((each) => each.startsWith("bearer.") || each.startsWith("ticket."));
	if (proofs.length === 0) return null;
	if (proofs.length > 1) return malformed("the subprotocols: they offer more than one credential");
	const proof = proofs[0] as string;
	const token = proof.slice(7);
	if (token === "" || token.length > maxCredentialLength) return malformed("the subprotocol's credential");
	return proof.startsWith("ticket.")
		? { scheme: "ws-ticket", ticket: token }
		: { scheme: "bearer", token, from: "subprotocol" };
}

/** The value of a cookie, or null. A name that stands twice counts as absent: nobody honest sends that. */
export function readCookie(header: string | undefined, name: string): string | null {
	if (header === undefined) return null;
	const values = header
		.split(";")
		.map((pair) => pair.trim())
		.filter((pair) => pair.startsWith(`${name}=`));
	return values.length === 1 ? (values[0] as string).slice(name.length + 1) : null;
}

function malformed(what: string): Credential {
	return { scheme: "malformed", reason: `${what} cannot be read` };
}
