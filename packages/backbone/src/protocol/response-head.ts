import { connectionOptions, type FieldSet, isAboutConnection, withoutFields } from "./field-lines.ts";
import { FieldNames, fieldValue } from "./head-bytes.ts";
import { HeadLines } from "./head-lines.ts";
import type { BodyLength } from "./request-head.ts";

/** A service's answer head, as it may be passed on. */
export interface ResponseHead {
	readonly status: number;
	/** `200 OK`. */
	readonly statusLine: string;
	/** Field lines that travel on, each with its CRLF; Content-Length or Transfer-Encoding among them. */
	readonly kept: string;
	readonly body: BodyLength;
	/** Whether the service's connection can take another request after this one. */
	readonly reusable: boolean;
	/** Sec-WebSocket-Accept of a 101 to WebSocket. */
	readonly webSocketAccept: string | null;
}

const maxHeaders = 200;
export const notHttp1 = "its first line is not a status line of HTTP/1";

const names = new FieldNames(
	["connection", "content-length", "transfer-encoding", "upgrade", "sec-websocket-accept"],
	["keep-alive", "proxy-connection", "proxy-authenticate", "trailer"],
);

/** Whatever Connection says: without them nobody knows where the answer ends. */
const framing: FieldSet = new Set(["content-length", "transfer-encoding"]);

/**
 * Parses a service's answer head (RFC 9112). A string is what is wrong with it: the client gets 502 and the
 * connection to the service is broken, because nobody knows where its answer would end.
 * @param text latin1, through the blank line's CRLF. @param method of the request. @param lines of the head.
 */
export function parseResponseHead(text: string, method: string, lines = HeadLines.of(text)): ResponseHead | string {
	if (lines.hasBadBytes) return "its head holds a control byte, or a line end that is not CRLF";
	const lineEnd = lines.ends[0] as number;
	const minorVersion = text.charCodeAt(7) - 0x30;
	const status = digitAt(text, 9) * 100 + digitAt(text, 10) * 10 + digitAt(text, 11);
	const isStatusLine =
		text.startsWith("HTTP/1.") &&
		(minorVersion === 0 || minorVersion === 1) &&
		text.charCodeAt(8) === 0x20 &&
		status >= 100 &&
		status < 600 &&
		(lineEnd === 12 || text.charCodeAt(12) === 0x20);
	if (!isStatusLine) return notHttp1;
	let contentLength: string | null = null;
	let transferEncoding: string | null = null;
	let connection: string | null = null;
	let upgrade: string | null = null;
	let webSocketAccept: string | null = null;
	let kept = "";
	/** Where lines that travel on begin and are not in `kept` yet. */
	let from = lineEnd + 2;
	let at = from;
	for (let number = 1; number < lines.count; number++) {
		if (number > maxHeaders) return `it has more than ${maxHeaders} header fields`;
		const end = lines.ends[number] as number;
		const first = text.charCodeAt(at);
		if (first === 0x20 || first === 0x09) return "it has a folded header line";
		const colon = lines.colons[number] as number;
		if (colon === -1) return "it has a header line without a colon";
		const name = names.of(text, at, colon, lines.hashes[number] as number);
		if (name === null) return "one of its header names is not a token";
		const next = end + 2;
		let travels = name.fate === "pass";
		if (name.fate === "read") {
			const value = fieldValue(text, colon + 1, end);
			switch (name.lower) {
				case "connection":
					connection = connection === null ? value : `${connection},${value}`;
					break;
				case "content-length":
					// Twice the same is common enough, and harmless.
					if (contentLength !== null && contentLength !== value) return "it has two Content-Lengths";
					travels = contentLength === null;
					contentLength = value;
					break;
				case "transfer-encoding":
					if (transferEncoding !== null) return "it has two Transfer-Encodings";
					transferEncoding = value;
					travels = true;
					break;
				case "upgrade":
					upgrade = value.toLowerCase();
					break;
				default:
					if (webSocketAccept !== null) return "it has two Sec-WebSocket-Accepts";
					webSocketAccept = value;
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
	let body: BodyLength;
	if (transferEncoding !== null) {
		if (contentLength !== null) return "it has both Transfer-Encoding and Content-Length";
		if (transferEncoding.toLowerCase() !== "chunked")
			return `its Transfer-Encoding is "${transferEncoding.slice(0, 40)}"`;
		body = { kind: "chunked" };
	} else if (contentLength !== null) {
		if (!/^\d{1,15}$/.test(contentLength)) return "its Content-Length is not one number";
		body = { kind: "length", bytes: Number(contentLength) };
	} else body = { kind: "close" };
	if (method === "HEAD" || status === 204 || status === 304 || status < 200) body = { kind: "none" };
	else if (body.kind === "length" && body.bytes === 0) body = { kind: "none" };
	let reusable = minorVersion === 1;
	if (connection === "close") reusable = false;
	else if (connection !== null) {
		const options = connectionOptions(connection);
		if (options === null) return "one of its Connection options is not a token";
		if (options.size > maxHeaders) return `its Connection names more than ${maxHeaders} fields`;
		reusable = (reusable || options.has("keep-alive")) && !options.has("close");
		const named = [...options].filter((option) => !isAboutConnection(option) && !framing.has(option));
		if (named.length > 0) kept = withoutFields(kept, new Set(named));
	}
	if (body.kind === "close") reusable = false;
	return {
		status,
		statusLine: lineEnd === 12 ? `${status} ` : text.slice(9, lineEnd),
		kept,
		body,
		reusable,
		webSocketAccept: status === 101 && upgrade === "websocket" ? webSocketAccept : null,
	};
}

/** NaN = there stands none. */
function digitAt(text: string, at: number): number {
	const digit = text.charCodeAt(at) - 0x30;
	return digit >= 0 && digit <= 9 ? digit : Number.NaN;
}
