import { connectionOptions, type FieldSet, isAboutConnection, withoutFields } from "./field-lines.ts";
import { FieldNames, fieldValue } from "./head-bytes.ts";
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
const unnameable: FieldSet = new Set([
	"host",
	"content-length",
	"transfer-encoding",
	"authorization",
	"cookie",
	"origin",
]);

const noOptions: FieldSet = new Set();

/**
 * Parses and judges a request's head (RFC 9112). Strict: what it does not understand it refuses, never guesses.
 * @param text the head as latin1, from the first byte through the blank line's CRLF. @param lines of it.
 */
export function parseRequestHead(text: string, lines = HeadLines.of(text)): RequestHead | HeadRefusal {
	if (lines.hasBadBytes) return refuse(400, "The head holds a control byte, or a line end that is not CRLF.");
	const first = requestLine(text.slice(0, lines.ends[0]));
	if ("refused" in first) return first;
	const { method, minorVersion } = first;
	const fields = new RequestFields();
	const fault = fields.read(text, lines);
	if (fault !== null) return fault;
	if (fields.host === null && minorVersion === 1) return refuse(400, "HTTP/1.1 needs a Host header.");
	const host = fields.host ?? "";
	const target = originForm(first, host);
	if (typeof target !== "string") return target;
	const body = bodyLength(fields, minorVersion);
	if ("refused" in body) return body;
	const { connection } = fields;
	const options = connection === null || connection === "keep-alive" ? noOptions : connectionOptions(connection);
	if (options === null) return refuse(400, "A Connection option is not a token.");
	if (options.size > headLimits.maxHeaders)
		return refuse(431, `Connection names more than ${headLimits.maxHeaders} fields.`);
	let namesFields = false;
	for (const option of options) {
		if (unnameable.has(option)) return refuse(400, `Connection names ${option}, which is not hop-by-hop.`);
		namesFields ||= !names.drops(option) && !isAboutConnection(option);
	}
	const { upgrade, webSocketKey } = fields;
	const upgradeTo = minorVersion === 1 && options.has("upgrade") ? upgrade : null;
	return {
		method,
		target,
		minorVersion,
		host,
		kept: namesFields ? withoutFields(fields.kept, options) : fields.kept,
		cookie: fields.cookie,
		credential: fields.credential,
		assertion: fields.assertion,
		forwardedFor: fields.forwardedFor,
		body,
		keepAlive: minorVersion === 1 && !options.has("close"),
		webSocketKey: upgradeTo === "websocket" ? webSocketKey : null,
		upgradeTo,
		origin: fields.origin,
		accept: fields.accept,
		authorization: fields.authorization,
		fetchMode: fields.fetchMode,
		takesTrailers: fields.takesTrailers,
	};
}

interface RequestLine {
	readonly method: string;
	readonly target: string;
	readonly minorVersion: 0 | 1;
}

function requestLine(line: string): RequestLine | HeadRefusal {
	const space = line.indexOf(" ");
	const secondSpace = line.indexOf(" ", space + 1);
	if (space <= 0 || secondSpace === -1) return refuse(400, "The request line is not METHOD TARGET VERSION.");
	const method = line.slice(0, space);
	const target = line.slice(space + 1, secondSpace);
	const version = line.slice(secondSpace + 1);
	if (version !== "HTTP/1.1" && version !== "HTTP/1.0")
		return /^HTTP\/\d\.\d$/.test(version)
			? refuse(505, `${version} is not spoken here.`)
			: refuse(400, "The request line is not METHOD TARGET VERSION.");
	if (!methodPattern.test(method)) return refuse(400, "The method is not one of capitals.");
	if (method === "CONNECT") return refuse(405, "CONNECT is not for this server.");
	if (target.length > headLimits.maxTargetBytes) return refuse(414, "The target is too long.");
	if (!targetPattern.test(target)) return refuse(400, "The target holds bytes that no target may hold.");
	return { method, target, minorVersion: version === "HTTP/1.1" ? 1 : 0 };
}

/** What a head's fields say, each as it came. */
class RequestFields {
	host: string | null = null;
	connection: string | null = null;
	contentLength: string | null = null;
	transferEncoding: string | null = null;
	upgrade: string | null = null;
	cookie: string | null = null;
	credential: string | null = null;
	assertion: string | null = null;
	forwardedFor: string | null = null;
	webSocketKey: string | null = null;
	origin: string | null = null;
	accept: string | null = null;
	authorization: string | null = null;
	fetchMode: string | null = null;
	takesTrailers = false;
	/** Lines that travel on. */
	kept = "";

	/** @returns why the head is refused; null = it is not. */
	read(text: string, lines: HeadLines): HeadRefusal | null {
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
			let travels = name.fate === "pass";
			if (name.fate === "read") {
				const taken = this.#take(name.lower, fieldValue(text, colon + 1, end));
				if (typeof taken !== "boolean") return taken;
				travels = taken;
			}
			const next = end + 2;
			if (!travels) {
				if (from < at) this.kept += text.slice(from, at);
				from = next;
			}
			at = next;
		}
		if (from < at) this.kept += text.slice(from, at);
		return null;
	}

	/** @returns whether the line travels on as it came, or why the head is refused. */
	#take(name: string, value: string): boolean | HeadRefusal {
		switch (name) {
			case "host":
				if (this.host !== null) return refuse(400, "More than one Host header.");
				this.host = value;
				return false;
			case "connection":
				this.connection = this.connection === null ? value : `${this.connection},${value}`;
				return false;
			case "content-length":
				if (this.contentLength !== null) return refuse(400, "More than one Content-Length.");
				this.contentLength = value;
				return true;
			case "transfer-encoding":
				if (this.transferEncoding !== null) return refuse(400, "More than one Transfer-Encoding.");
				this.transferEncoding = value;
				return true;
			case "upgrade":
				this.upgrade = this.upgrade === null ? value.toLowerCase() : `${this.upgrade},${value.toLowerCase()}`;
				return false;
			case "cookie":
				this.cookie = this.cookie === null ? value : `${this.cookie}; ${value}`;
				return false;
			case "x-backbone-principal":
				if (this.credential !== null) return refuse(401, "More than one x-backbone-principal.");
				this.credential = value;
				return false;
			case "x-backbone-assertion":
				if (this.assertion !== null) return refuse(401, "More than one x-backbone-assertion.");
				this.assertion = value;
				return false;
			case "x-forwarded-for":
				this.forwardedFor = this.forwardedFor === null ? value : `${this.forwardedFor}, ${value}`;
				return false;
			case "sec-websocket-key":
				if (this.webSocketKey !== null) return refuse(400, "More than one Sec-WebSocket-Key.");
				this.webSocketKey = value;
				return true;
			case "origin":
				if (this.origin !== null) return refuse(400, "More than one Origin.");
				this.origin = value;
				return true;
			case "authorization":
				if (this.authorization !== null) return refuse(400, "More than one Authorization.");
				this.authorization = value;
				return true;
			case "te":
				this.takesTrailers ||= /(^|,)[ \t]*trailers[ \t]*(,|$)/i.test(value);
				return false;
			case "accept":
				this.accept = value;
				return true;
			default:
				this.fetchMode = value;
				return true;
		}
	}
}

/** The target as a server wants it: a path with its query, or `*`. */
function originForm({ method, target }: RequestLine, host: string): string | HeadRefusal {
	let path = target;
	if (target === "*") {
		if (method !== "OPTIONS") return refuse(400, "The target * is for OPTIONS alone.");
	} else if (!target.startsWith("/")) {
		const absolute = /^https?:\/\/([^/?]*)(.*)$/i.exec(target);
		if (absolute === null) return refuse(400, "The target is neither a path nor an http URL.");
		if ((absolute[1] as string).toLowerCase() !== host.toLowerCase())
			return refuse(400, "The target's authority is not the Host header's.");
		const rest = absolute[2] as string;
		path = rest.startsWith("/") ? rest : `/${rest}`;
	}
	return isPath(path) ? path : refuse(400, "The path has a broken %, a NUL, or climbs above its root.");
}

function bodyLength(fields: RequestFields, minorVersion: 0 | 1): BodyLength | HeadRefusal {
	const { transferEncoding, contentLength } = fields;
	if (transferEncoding !== null) {
		if (contentLength !== null) return refuse(400, "Both Transfer-Encoding and Content-Length.");
		if (minorVersion === 0) return refuse(400, "Transfer-Encoding in HTTP/1.0.");
		if (transferEncoding.toLowerCase() !== "chunked")
			return refuse(501, "The only Transfer-Encoding that is known here is chunked.");
		return chunkedBody;
	}
	if (contentLength === null) return noBody;
	if (!/^\d{1,15}$/.test(contentLength)) return refuse(400, "Content-Length is not one number.");
	const bytes = Number(contentLength);
	return bytes === 0 ? noBody : { kind: "length", bytes };
}

function refuse(status: HeadRefusal["status"], message: string): HeadRefusal {
	return { refused: true, status, message };
}
