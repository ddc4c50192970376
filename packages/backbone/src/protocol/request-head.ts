import { FieldNames, fieldValue, isToken } from "./head-bytes.ts";
import { HeadLines } from "./head-lines.ts";

export const headLimits = {
	/** Of a head, first line to blank line. */
	maxHeadBytes: 32 * 1024,
	maxHeaders: 100,
	maxTargetBytes: 16 * 1024,
} as const;

/** How long a message's body is (RFC 9112 §6). `close`: until the connection ends, answers only. */
export type BodyLength =
	| { readonly kind: "none" }
	| { readonly kind: "length"; readonly bytes: number }
	| { readonly kind: "chunked" }
	| { readonly kind: "close" };

const noBody: BodyLength = { kind: "none" };
const chunkedBody: BodyLength = { kind: "chunked" };

/** A request's head as it may be passed on: what hops consume, what is ours and what lies is gone from `kept`. */
export interface RequestHead {
	readonly method: string;
	/** As sent, in origin-form (or `*`). */
	readonly target: string;
	readonly minorVersion: 0 | 1;
	/** As sent. */
	readonly host: string;
	/** Field lines that travel on, each with its CRLF, byte for byte as they came. Without Host and Cookie. */
	readonly kept: string;
	readonly cookie: string | null;
	/** `x-backbone-principal` and `x-backbone-assertion`. Secrets. */
	readonly credential: string | null;
	readonly assertion: string | null;
	readonly forwardedFor: string | null;
	readonly body: BodyLength;
	readonly keepAlive: boolean;
	/** Sec-WebSocket-Key of an upgrade to WebSocket; any other upgrade is ignored, as a server may. */
	readonly webSocketKey: string | null;
	readonly upgradeTo: string | null;
	readonly origin: string | null;
	readonly accept: string | null;
	readonly authorization: string | null;
	readonly fetchMode: string | null;
	/** TE says that trailers of the answer are read; a gRPC service wants to be told so. */
	readonly takesTrailers: boolean;
}

export interface HeadRefusal {
	readonly refused: true;
	readonly status: 400 | 401 | 405 | 414 | 431 | 501 | 505;
	readonly message: string;
}

/** Visible ASCII but `#`: a target with a fragment, a space or raw bytes was made by nobody honest. */
const targetPattern = /^[\x21\x22\x24-\x7e]+$/;
/** As servers know methods: capitals. `get` is another method than GET, and some servers take it for the same. */
const methodPattern = /^[A-Z][A-Z_-]*$/;

/** Of HTTP/2: the same rules for what a frame says. */
export function isMethod(text: string): boolean {
	return methodPattern.test(text) && text !== "CONNECT";
}

/** In origin-form, or `*`. */
export function isTarget(text: string): boolean {
	return text === "*" || (text.startsWith("/") && targetPattern.test(text) && isPath(text));
}

/** Whether the part before `?` decodes without a NUL and stays below the root: servers disagree about any other. */
function isPath(target: string): boolean {
	if (!/%|\.\./.test(target)) return true;
	const question = target.indexOf("?");
	const path = question === -1 ? target : target.slice(0, question);
	if (/%(?![0-9a-f]{2})|%00/i.test(path)) return false;
	let depth = 0;
	for (const segment of path.replace(/%2e/gi, ".").replace(/%2f/gi, "/").split("/").slice(1)) {
		if (segment === "..") depth -= 1;
		else if (segment !== "" && segment !== ".") depth += 1;
		if (depth < 0) return false;
	}
	return true;
}

const names = new FieldNames(
	[
		"host",
		"connection",
		"content-length",
		"transfer-encoding",
		"upgrade",
		"cookie",
		"x-backbone-principal",
		"x-backbone-assertion",
		"x-forwarded-for",
		"sec-websocket-key",
		"origin",
		"accept",
		"authorization",
		"sec-fetch-mode",
		"te",
	],
	// Hop-by-hop, or told by us: never passed on from outside.
	[
		"keep-alive",
		"proxy-connection",
		"proxy-authorization",
		"proxy-authenticate",
		"trailer",
		"forwarded",
		"x-forwarded-host",
		"x-forwarded-proto",
		"x-forwarded-port",
		"x-real-ip",
		"http2-settings",
	],
);

/** Fields that a Connection header must not name: without them the message would be another one. */
const unnameable: ReadonlySet<string> = new Set([
	"host",
	"content-length",
	"transfer-encoding",
	"authorization",
	"cookie",
	"origin",
]);

/**
 * Parses and judges a request's head (RFC 9112). Strict: what it does not understand it refuses, never guesses.
 * @param text the head as latin1, from the first byte through the blank line's CRLF. @param lines of it.
 */
export function parseRequestHead(text: string, lines = HeadLines.of(text)): RequestHead | HeadRefusal {
	if (lines.hasBadBytes) return refuse(400, "The head holds a control byte, or a line end that is not CRLF.");
	const line = text.slice(0, lines.ends[0]);
	const space = line.indexOf(" ");
	const secondSpace = line.indexOf(" ", space + 1);
	if (space <= 0 || secondSpace === -1) return refuse(400, "The request line is not METHOD TARGET VERSION.");
	const method = line.slice(0, space);
	const rawTarget = line.slice(space + 1, secondSpace);
	const version = line.slice(secondSpace + 1);
	if (version !== "HTTP/1.1" && version !== "HTTP/1.0")
		return /^HTTP\/\d\.\d$/.test(version)
			? refuse(505, `${version} is not spoken here.`)
			: refuse(400, "The request line is not METHOD TARGET VERSION.");
	if (!methodPattern.test(method)) return refuse(400, "The method is not one of capitals.");
	if (method === "CONNECT") return refuse(405, "CONNECT is not for this server.");
	if (rawTarget.length > headLimits.maxTargetBytes) return refuse(414, "The target is too long.");
	if (!targetPattern.test(rawTarget)) return refuse(400, "The target holds bytes that no target may hold.");
	const minorVersion = version === "HTTP/1.1" ? 1 : 0;

	let host: string | null = null;
	let connection: string | null = null;
	let contentLength: string | null = null;
	let transferEncoding: string | null = null;
	let upgrade: string | null = null;
	let cookie: string | null = null;
	let credential: string | null = null;
	let assertion: string | null = null;
	let forwardedFor: string | null = null;
	let webSocketKey: string | null = null;
	let origin: string | null = null;
	let accept: string | null = null;
	let authorization: string | null = null;
	let fetchMode: string | null = null;
	let takesTrailers = false;
	let kept = "";
	/** Where lines that travel on begin and are not in `kept` yet. */
	let from = (lines.ends[0] as number) + 2;
	let at = from;
	for (let number = 1; number < lines.count; number++) {
		if (number > headLimits.maxHeaders) return refuse(431, `More than ${headLimits.maxHeaders} header fields.`);
		const end = lines.ends[number] as number;
		const first = text.charCodeAt(at);
		if (first === 0x20 || first === 0x09) return refuse(400, "A folded header line.");
		const colon = lines.colons[number] as number;
		if (colon === -1) return refuse(400, "A header line without a colon.");
		const name = names.of(text, at, colon, lines.hashes[number] as number);
		if (name === null) return refuse(400, "A header name is not a token.");
		const next = end + 2;
		let travels = name.fate === "pass";
		if (name.fate === "read") {
			const value = fieldValue(text, colon + 1, end);
			switch (name.lower) {
				case "host":
					if (host !== null) return refuse(400, "More than one Host header.");
					host = value;
					break;
				case "connection":
					connection = connection === null ? value : `${connection},${value}`;
					break;
				case "content-length":
					if (contentLength !== null) return refuse(400, "More than one Content-Length.");
					contentLength = value;
					travels = true;
					break;
				case "transfer-encoding":
					if (transferEncoding !== null) return refuse(400, "More than one Transfer-Encoding.");
					transferEncoding = value;
					travels = true;
					break;
				case "upgrade":
					upgrade = upgrade === null ? value.toLowerCase() : `${upgrade},${value.toLowerCase()}`;
					break;
				case "cookie":
					cookie = cookie === null ? value : `${cookie}; ${value}`;
					break;
				case "x-backbone-principal":
					if (credential !== null) return refuse(401, "More than one x-backbone-principal.");
					credential = value;
					break;
				case "x-backbone-assertion":
					if (assertion !== null) return refuse(401, "More than one x-backbone-assertion.");
					assertion = value;
					break;
				case "x-forwarded-for":
					forwardedFor = forwardedFor === null ? value : `${forwardedFor}, ${value}`;
					break;
				case "sec-websocket-key":
					if (webSocketKey !== null) return refuse(400, "More than one Sec-WebSocket-Key.");
					webSocketKey = value;
					travels = true;
					break;
				case "origin":
					if (origin !== null) return refuse(400, "More than one Origin.");
					origin = value;
					travels = true;
					break;
				case "authorization":
					if (authorization !== null) return refuse(400, "More than one Authorization.");
					authorization = value;
					travels = true;
					break;
				case "te":
					takesTrailers ||= /(^|,)[ \t]*trailers[ \t]*(,|$)/i.test(value);
					break;
				case "accept":
					accept = value;
					travels = true;
					break;
				default:
					fetchMode = value;
					travels = true;
			}
		}
		if (!travels) {
			if (from < at) kept += text.slice(from, at);
			from = next;
		}
		at = next;
	}
	if (from < at) kept += text.slice(from, at);

	if (host === null) {
		if (minorVersion === 1) return refuse(400, "HTTP/1.1 needs a Host header.");
		host = "";
	}
	let target = rawTarget;
	if (rawTarget.charCodeAt(0) !== 0x2f) {
		if (rawTarget === "*") {
			if (method !== "OPTIONS") return refuse(400, "The target * is for OPTIONS alone.");
		} else {
			const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(rawTarget);
			if (absolute === null) return refuse(400, "The target is neither a path nor an http URL.");
			if ((absolute[1] as string).toLowerCase() !== host.toLowerCase())
				return refuse(400, "The target's authority is not the Host header's.");
			const rest = absolute[2] as string;
			target = rest.startsWith("/") ? rest : `/${rest}`;
		}
	}

	if (!isPath(target)) return refuse(400, "The path has a broken %, a NUL, or climbs above its root.");

	let body = noBody;
	if (transferEncoding !== null) {
		if (contentLength !== null) return refuse(400, "Both Transfer-Encoding and Content-Length.");
		if (minorVersion === 0) return refuse(400, "Transfer-Encoding in HTTP/1.0.");
		if (transferEncoding.toLowerCase() !== "chunked")
			return refuse(501, "The only Transfer-Encoding that is known here is chunked.");
		body = chunkedBody;
	} else if (contentLength !== null) {
		if (!/^\d{1,15}$/.test(contentLength)) return refuse(400, "Content-Length is not one number.");
		const bytes = Number(contentLength);
		body = bytes === 0 ? noBody : { kind: "length", bytes };
	}

	let keepAlive = minorVersion === 1;
	let wantsUpgrade = false;
	if (connection !== null && connection !== "keep-alive") {
		for (const each of connection.split(",")) {
			const option = fieldValue(each, 0, each.length).toLowerCase();
			if (option === "") continue;
			if (!isToken(option)) return refuse(400, "A Connection option is not a token.");
			if (option === "close") keepAlive = false;
			else if (option === "upgrade") wantsUpgrade = true;
			else if (unnameable.has(option)) return refuse(400, `Connection names ${option}, which is not hop-by-hop.`);
			else if (option !== "keep-alive" && !names.drops(option)) kept = withoutField(kept, option);
		}
	}
	const upgradeTo = wantsUpgrade && minorVersion === 1 ? upgrade : null;
	return {
		method,
		target,
		minorVersion,
		host,
		kept,
		cookie,
		credential,
		assertion,
		forwardedFor,
		body,
		keepAlive,
		webSocketKey: upgradeTo === "websocket" ? webSocketKey : null,
		upgradeTo,
		origin,
		accept,
		authorization,
		fetchMode,
		takesTrailers,
	};
}

/** Removes every line of that name: the Connection header made it this hop's. */
/** @param name in small letters. */
export function withoutField(lines: string, name: string): string {
	let rest = "";
	for (const line of lines.split("\r\n")) {
		if (line !== "" && line.slice(0, line.indexOf(":")).toLowerCase() !== name) rest += `${line}\r\n`;
	}
	return rest;
}

/** A field of lines that were kept. @param name in small letters. */
export function fieldOf(lines: string, name: string): string | undefined {
	for (const line of lines.split("\r\n")) {
		const colon = line.indexOf(":");
		if (colon !== -1 && line.slice(0, colon).toLowerCase() === name) return line.slice(colon + 1).trim();
	}
	return undefined;
}

function refuse(status: HeadRefusal["status"], message: string): HeadRefusal {
	return { refused: true, status, message };
}
