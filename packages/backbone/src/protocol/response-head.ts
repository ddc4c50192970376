import type { BodyLength } from "./request-head.ts";
import { isReservedName } from "./reserved-names.ts";

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

const tokenPattern = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const badBytes = /[\0-\x08\x0b\x0c\x0e-\x1f\x7f]|\r(?!\n)|(?<!\r)\n/;
const maxHeaders = 200;

const dropped: ReadonlySet<string> = new Set([
	"keep-alive",
	"proxy-connection",
	"proxy-authenticate",
	"upgrade",
	"trailer",
]);

/**
 * Parses a service's answer head (RFC 9112). A string is what is wrong with it: the client gets 502 and the
 * connection to the service is broken, because nobody knows where its answer would end.
 * @param text latin1, through the blank line's CRLF. @param method of the request.
 */
export function parseResponseHead(text: string, method: string): ResponseHead | string {
	if (badBytes.test(text)) return "its head holds a control byte, or a line end that is not CRLF";
	const lineEnd = text.indexOf("\r\n");
	const line = text.slice(0, lineEnd);
	const match = /^HTTP\/1\.([01]) ([1-5]\d\d)(?: (.*))?$/.exec(line);
	if (match === null) return "its first line is not a status line of HTTP/1";
	const status = Number(match[2]);
	let contentLength: string | null = null;
	let transferEncoding: string | null = null;
	let connection: string | null = null;
	let upgrade: string | null = null;
	let webSocketAccept: string | null = null;
	let kept = "";
	let count = 0;
	let at = lineEnd + 2;
	for (;;) {
		const end = text.indexOf("\r\n", at);
		if (end === at || end === -1) break;
		if (++count > maxHeaders) return `it has more than ${maxHeaders} header fields`;
		const first = text.charCodeAt(at);
		if (first === 0x20 || first === 0x09) return "it has a folded header line";
		const colon = text.indexOf(":", at);
		if (colon === -1 || colon > end) return "it has a header line without a colon";
		const name = text.slice(at, colon);
		if (!tokenPattern.test(name)) return "one of its header names is not a token";
		const next = end + 2;
		switch (name.length) {
			case 7:
			case 10:
			case 14:
			case 17:
			case 18:
			case 20:
			case 16: {
				const lower = name.toLowerCase();
				if (lower === "connection") {
					const value = text.slice(colon + 1, end).trim();
					connection = connection === null ? value : `${connection},${value}`;
				} else if (lower === "content-length") {
					const value = text.slice(colon + 1, end).trim();
					// Twice the same is common enough, and harmless.
					if (contentLength !== null && contentLength !== value) return "it has two Content-Lengths";
					if (contentLength === null) kept += text.slice(at, next);
					contentLength = value;
				} else if (lower === "transfer-encoding") {
					if (transferEncoding !== null) return "it has two Transfer-Encodings";
					transferEncoding = text.slice(colon + 1, end).trim();
					kept += text.slice(at, next);
				} else if (lower === "upgrade")
					upgrade = text
						.slice(colon + 1, end)
						.trim()
						.toLowerCase();
				else if (lower === "sec-websocket-accept") {
					if (webSocketAccept !== null) return "it has two Sec-WebSocket-Accepts";
					webSocketAccept = text.slice(colon + 1, end).trim();
					kept += text.slice(at, next);
				} else if (!dropped.has(lower) && !isReservedName(name)) kept += text.slice(at, next);
				break;
			}
			default:
				if (!isReservedName(name)) kept += text.slice(at, next);
		}
		at = next;
	}
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
	let reusable = match[1] === "1";
	if (connection !== null) {
		for (const each of connection.split(",")) {
			const option = each.trim().toLowerCase();
			if (option === "close") reusable = false;
			else if (option === "keep-alive") reusable = true;
		}
	}
	if (body.kind === "close") reusable = false;
	return {
		status,
		statusLine: match[3] === undefined ? `${match[2]} ` : `${match[2]} ${match[3]}`,
		kept,
		body,
		reusable,
		webSocketAccept: status === 101 && upgrade === "websocket" ? webSocketAccept : null,
	};
}
