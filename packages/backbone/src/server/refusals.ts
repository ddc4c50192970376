import { STATUS_CODES } from "node:http";
import { plainPage, plainPageHeaders } from "@warren/net";
import type { RequestHead } from "../protocol/request-head.ts";

export interface Refusal {
	readonly status: number;
	readonly code: string;
	readonly message: string;
	readonly retryAfterMs: number;
	readonly keepAlive: boolean;
	/** Null when it could not be read. */
	readonly head: RequestHead | null;
}

const linesOf = (headers: Readonly<Record<string, string>>) =>
	Object.entries(headers)
		.map(([name, value]) => `${name}: ${value}\r\n`)
		.join("");
const pageLines = linesOf(plainPageHeaders);
const dataLines =
	"Content-Type: application/json\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n" +
	"Referrer-Policy: no-referrer\r\nContent-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n";
const retryable: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

/** An answer of our own, whole: JSON for programs, a short page for browsers. */
export function refusalText({ status, code, message, retryAfterMs, keepAlive, head }: Refusal): string {
	const page = head?.accept?.includes("text/html") === true && !head.accept.includes("application/json");
	const body = page
		? plainPage({ status, title: STATUS_CODES[status] ?? "Refused", lines: [message], home: false })
		: JSON.stringify({ error: code, message, retryable: retryable.has(status) });
	const length = Buffer.byteLength(body);
	return (
		`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Refused"}\r\n` +
		`${page ? pageLines : dataLines}Content-Length: ${length}\r\n` +
		(status === 401 ? 'WWW-Authenticate: Backbone realm="warren"\r\n' : "") +
		(retryAfterMs > 0 ? `Retry-After: ${Math.max(1, Math.ceil(retryAfterMs / 1000))}\r\n` : "") +
		(keepAlive ? "\r\n" : "Connection: close\r\n\r\n") +
		(head?.method === "HEAD" ? "" : body)
	);
}

/** Of a head that is not one of HTTP. */
export function headRefusalCode(status: number): string {
	switch (status) {
		case 401:
			return "unauthorized";
		case 405:
			return "method_not_allowed";
		case 414:
			return "target_too_long";
		case 431:
			return "head_too_large";
		case 505:
			return "wrong_protocol";
		default:
			return "bad_request";
	}
}
