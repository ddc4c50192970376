import { createHmac, timingSafeEqual } from "node:crypto";

/**
 * Everything that is signed or carried as a secret. Pure: keys, bytes and `now` in, values out. base64url contains `_`,
 * so nothing here is ever split at the last underscore.
 */
export const tokenLimits = {
	/** A token's or assertion's text. */
	maxLength: 4096,
	/** How far ahead an assertion may expire, seconds. */
	maxAssertionSeconds: 3600,
	/** A URL token lives at most this long, seconds (30 days). */
	maxUrlTokenSeconds: 30 * 24 * 3600,
	/** Clocks may differ by this much, seconds. */
	skewSeconds: 30,
	maxSubIdLength: 200,
	maxNameLength: 200,
	maxEmailLength: 320,
} as const;

/** A DNS label: what stands before the domain. `pr` would read as a principal's credential. */
export function isServiceName(name: string): boolean {
	return /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/.test(name) && name !== "pr";
}

const uuid = "[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}";
const servicePattern = /^mosb_([a-z0-9][a-z0-9-]{0,62})_([A-Za-z0-9_-]{43})$/;
const credentialPattern = new RegExp(`^mosb_pr_(${uuid})_([A-Za-z0-9_-]{43})$`);

/** `mosb_<service>_<secret>`. A service's name holds no underscore. */
export function parseServiceToken(token: string): { readonly service: string } | null {
	const match = servicePattern.exec(token);
	return match === null || match[1] === "pr" ? null : { service: match[1] as string };
}

export function formatServiceToken(service: string, secret: string): string {
	return `mosb_${service}_${secret}`;
}

/** `derived_key = HMAC-SHA256(master_secret, "mosb-principal-v1:<principal_id>:<key_version>")`. */
export function derivePrincipalKey(masterSecret: string, principalId: string, keyVersion: number): Buffer {
	return createHmac("sha256", masterSecret).update(`mosb-principal-v1:${principalId}:${keyVersion}`).digest();
}

/** `mosb_pr_<id>_<base64url(derived_key)>`. */
export function formatCredential(principalId: string, key: Uint8Array): string {
	return `mosb_pr_${principalId}_${Buffer.from(key).toString("base64url")}`;
}

export function parseCredential(text: string): { readonly principalId: string; readonly key: Buffer } | null {
	const match = credentialPattern.exec(text);
	if (match === null) return null;
	const key = Buffer.from(match[2] as string, "base64url");
	// 43 characters hold 258 bits: only one spelling of the last one is ours.
	if (key.toString("base64url") !== match[2]) return null;
	return { principalId: match[1] as string, key };
}

export function equalKeys(a: Uint8Array, b: Uint8Array): boolean {
	return a.length === b.length && timingSafeEqual(a, b);
}

/** What an assertion says about one request. Times in seconds since the Unix epoch. */
export interface Assertion {
	readonly sub_id: string;
	readonly name?: string;
	readonly email?: string;
	readonly exp: number;
	/** Bindings, each checked when present. */
	readonly aud?: string;
	readonly method?: string;
	readonly path?: string;
	readonly iat?: number;
	readonly jti?: string;
}

/** The request that an assertion or URL token came with. */
export interface AssertedRequest {
	readonly service: string;
	readonly method: string;
	/** As sent, without the query. */
	readonly path: string;
	/** Milliseconds since the Unix epoch. */
	readonly now: number;
}

/** `x-backbone-assertion`: `<base64url(payload)>.<base64url(HMAC-SHA256(derived_key, "assertion:" + base64url(payload)))>`. */
export function signAssertion(key: Uint8Array, assertion: Assertion): string {
	const payload = Buffer.from(JSON.stringify(assertion)).toString("base64url");
	return `${payload}.${mac(key, `assertion:${payload}`)}`;
}

/** @returns the assertion, or why it is refused: 401, never ignored. */
export function verifyAssertion(key: Uint8Array, text: string, request: AssertedRequest): Assertion | string {
	const payload = openSealed(key, "assertion:", text);
	if (typeof payload === "string") return `The assertion ${payload}.`;
	const seconds = request.now / 1000;
	const { sub_id, name, email, exp, aud, method, path, iat, jti } = payload;
	if (typeof sub_id !== "string" || sub_id === "" || sub_id.length > tokenLimits.maxSubIdLength)
		return "The assertion has no usable sub_id.";
	if (typeof exp !== "number" || !Number.isFinite(exp)) return "The assertion has no exp, in seconds.";
	if (exp <= seconds - tokenLimits.skewSeconds) return "The assertion has expired.";
	if (exp > seconds + tokenLimits.maxAssertionSeconds + tokenLimits.skewSeconds)
		return `The assertion's exp is more than ${tokenLimits.maxAssertionSeconds} s ahead.`;
	if (iat !== undefined && (typeof iat !== "number" || iat > seconds + tokenLimits.skewSeconds))
		return "The assertion's iat lies ahead.";
	if (name !== undefined && !isPrintable(name, tokenLimits.maxNameLength))
		return "The assertion's name cannot be used.";
	if (email !== undefined && !isPrintable(email, tokenLimits.maxEmailLength))
		return "The assertion's email cannot be used.";
	if (!isPrintable(sub_id, tokenLimits.maxSubIdLength)) return "The assertion's sub_id cannot be used.";
	if (jti !== undefined && (typeof jti !== "string" || jti === "" || jti.length > 200))
		return "The assertion's jti cannot be used.";
	if (aud !== undefined && aud !== request.service) return "The assertion is for another service.";
	if (method !== undefined && method !== request.method) return "The assertion is for another method.";
	if (path !== undefined && path !== request.path) return "The assertion is for another path.";
	return payload as unknown as Assertion;
}

/** What a URL token carries: short names, because it stands in addresses. */
export interface UrlToken {
	/** Principal. */
	readonly p: string;
	/** Its key_version: raising that one ends the token. */
	readonly k: number;
	/** Service. */
	readonly s: string;
	/** Expiry, seconds since the Unix epoch. */
	readonly e: number;
	/** Only below this path, when present. */
	readonly d?: string;
	/** Only these methods, when present. */
	readonly m?: readonly string[];
}

export function signUrlToken(key: Uint8Array, token: UrlToken): string {
	const payload = Buffer.from(JSON.stringify(token)).toString("base64url");
	return `${payload}.${mac(key, `url-token:${payload}`)}`;
}

/** Reads whose it claims to be, before anything is believed: the key to check it with depends on it. */
export function readUrlToken(text: string): UrlToken | null {
	if (text.length > tokenLimits.maxLength) return null;
	const payload = parseObject(text.split(".")[0] as string);
	if (payload === null) return null;
	const { p, k, s, e, d, m } = payload;
	if (typeof p !== "string" || typeof s !== "string" || !Number.isInteger(k) || typeof e !== "number") return null;
	if (d !== undefined && typeof d !== "string") return null;
	if (m !== undefined && !(Array.isArray(m) && m.every((each) => typeof each === "string"))) return null;
	return payload as unknown as UrlToken;
}

/** @returns the token, or why it is refused. The caller checks principal, key_version and grant. */
export function verifyUrlToken(key: Uint8Array, text: string, request: AssertedRequest): UrlToken | string {
	const opened = openSealed(key, "url-token:", text);
	if (typeof opened === "string") return `The URL token ${opened}.`;
	const token = readUrlToken(text);
	if (token === null) return "The URL token cannot be read.";
	if (token.e <= request.now / 1000) return "The URL token has expired.";
	if (token.e > request.now / 1000 + tokenLimits.maxUrlTokenSeconds + tokenLimits.skewSeconds)
		return `The URL token's expiry is more than ${tokenLimits.maxUrlTokenSeconds} s ahead.`;
	if (token.s !== request.service) return "The URL token is for another service.";
	if (token.m !== undefined && !token.m.includes(request.method)) return "The URL token is not for this method.";
	if (token.d !== undefined && !isBelow(request.path, token.d)) return "The URL token is not for this path.";
	return token;
}

/**
 * Whether a path lies below another, judged on the strict form: anything that a server might read as another path
 * (encoded separators, dot segments, backslashes, doubled slashes) lies below nothing.
 */
export function isBelow(path: string, prefix: string): boolean {
	if (/%2f|%5c|%2e|%00|\\|\/\/|\/\.{1,2}(\/|$)|;/i.test(path)) return false;
	const base = prefix.endsWith("/") ? prefix : `${prefix}/`;
	return path === prefix || path.startsWith(base);
}

function openSealed(key: Uint8Array, context: string, text: string): Record<string, unknown> | string {
	if (text.length > tokenLimits.maxLength) return "is too long";
	const dot = text.indexOf(".");
	if (dot <= 0 || text.indexOf(".", dot + 1) !== -1) return "is not <payload>.<hmac>";
	const payload = text.slice(0, dot);
	const given = Buffer.from(text.slice(dot + 1), "base64url");
	const due = createHmac("sha256", key)
		.update(context + payload)
		.digest();
	if (given.toString("base64url") !== text.slice(dot + 1) || !equalKeys(given, due))
		return "is not signed by this principal";
	return parseObject(payload) ?? "is not a JSON object";
}

function parseObject(payload: string): Record<string, unknown> | null {
	if (!/^[A-Za-z0-9_-]+$/.test(payload)) return null;
	try {
		const value: unknown = JSON.parse(Buffer.from(payload, "base64url").toString("utf8"));
		return typeof value === "object" && value !== null && !Array.isArray(value)
			? (value as Record<string, unknown>)
			: null;
	} catch {
		// Not JSON: nobody's token.
		return null;
	}
}

function mac(key: Uint8Array, text: string): string {
	return createHmac("sha256", key).update(text).digest("base64url");
}

/** No control characters, lone surrogates or odd separators: what may become a header's value. */
export function isPrintable(value: unknown, maxLength: number): value is string {
	return (
		typeof value === "string" &&
		value.length > 0 &&
		value.length <= maxLength &&
		!/[\p{Cc}\p{Cs}\p{Zl}\p{Zp}]/u.test(value)
	);
}
