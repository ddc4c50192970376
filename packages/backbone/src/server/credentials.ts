import type { Caller } from "../identity/callers.ts";

/** `__Host-` binds it to this very host and to TLS. */
const secureCookie = "__Host-mosb";
const plainCookie = "mosb";

/** A URL token on its way into a cookie. */
export interface CookieSwap {
	readonly token: string;
	/** The target without it. */
	readonly target: string;
}

/**
 * Takes `?_mosb=` out of a target, whichever way its name is percent-encoded.
 * @returns the target without it, unchanged otherwise, byte for byte.
 */
export function takeUrlToken(target: string): { target: string; token: string | null; fault: string | null } {
	const question = target.indexOf("?");
	if (question === -1 || !/mosb|%/i.test(target)) return { target, token: null, fault: null };
	const kept: string[] = [];
	let token: string | null = null;
	for (const pair of target.slice(question + 1).split("&")) {
		const equals = pair.indexOf("=");
		const name = equals === -1 ? pair : pair.slice(0, equals);
		if (percentDecoded(name) !== "_mosb") {
			kept.push(pair);
			continue;
		}
		if (token !== null) return { target, token: null, fault: "The URL holds more than one _mosb token." };
		token = equals === -1 ? "" : percentDecoded(pair.slice(equals + 1));
	}
	if (token === null) return { target, token: null, fault: null };
	const query = kept.length === 0 ? "" : `?${kept.join("&")}`;
	return { target: target.slice(0, question) + query, token, fault: null };
}

/** Every byte that is percent-encoded, as latin1; what is no such thing stays. */
export function percentDecoded(text: string): string {
	return text.replace(/%([0-9a-f]{2})/gi, (_whole, hex: string) => String.fromCharCode(Number.parseInt(hex, 16)));
}

/** The URL token that a browser carries as a cookie; one that stands twice counts as forged: empty, which no token is. */
export function cookieToken(cookie: string): string | null {
	if (!cookie.includes("mosb=")) return null;
	const found = pairs(cookie).filter(([name]) => name === secureCookie || name === plainCookie);
	if (found.length === 0) return null;
	return found.length === 1 ? (found[0]?.[1] as string) : "";
}

export function cookieWithoutToken(cookie: string): string {
	if (!cookie.includes("mosb=")) return cookie;
	return pairs(cookie)
		.filter(([name]) => name !== secureCookie && name !== plainCookie)
		.map(([name, value]) => (value === null ? name : `${name}=${value}`))
		.join("; ");
}

function pairs(cookie: string): [string, string | null][] {
	return cookie.split(";").map((pair) => {
		const text = pair.trim();
		const equals = text.indexOf("=");
		return equals === -1 ? [text, null] : [text.slice(0, equals), text.slice(equals + 1)];
	});
}

/**
 * A browser that opens a link with a token gets a cookie for it and the address without it: what stands in the address
 * bar ends in histories, logs and Referers.
 * @returns fields of a 303, or null for anything but a page that is being opened.
 */
export function swapFields(
	request: { readonly method: string; readonly fetchMode: string | null },
	swap: CookieSwap,
	caller: Caller,
	secure: boolean,
	now: number,
): Readonly<Record<string, string>> | null {
	if (request.method !== "GET" || request.fetchMode !== "navigate" || caller.tokenEndsAt === null) return null;
	const seconds = Math.max(1, Math.floor((caller.tokenEndsAt - now) / 1000));
	return {
		// An address that begins with two slashes, either way round, would name another host.
		location: swap.target.replace(/^\/[/\\]+/, "/"),
		"set-cookie": `${secure ? secureCookie : plainCookie}=${swap.token}; Max-Age=${seconds}; Path=/; HttpOnly; SameSite=Lax${secure ? "; Secure" : ""}`,
		"referrer-policy": "no-referrer",
		"cache-control": "no-store",
	};
}

/** The same for HTTP/1.1, whole. */
export function swapText(fields: Readonly<Record<string, string>>, keepAlive: boolean): string {
	const capital = (name: string) => name.replace(/\b[a-z]/g, (letter) => letter.toUpperCase());
	const lines = Object.entries(fields).map(([name, value]) => `${capital(name)}: ${value}\r\n`);
	return `HTTP/1.1 303 See Other\r\n${lines.join("")}Content-Length: 0\r\n${keepAlive ? "" : "Connection: close\r\n"}\r\n`;
}

/** Whether a page of this very origin asks. */
export function isSameOrigin(origin: string | null, secure: boolean, host: string): boolean {
	return origin !== null && origin.toLowerCase() === `${secure ? "https" : "http"}://${host.toLowerCase()}`;
}
