import { STATUS_CODES } from "node:http";
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

const retryable: ReadonlySet<number> = new Set([408, 429, 502, 503, 504]);

/** An answer of our own, whole: JSON for programs, a short page for browsers. */
export function refusalText({ status, code, message, retryAfterMs, keepAlive, head }: Refusal): string {
	const page = head?.accept?.includes("text/html") === true && !head.accept.includes("application/json");
	const body = page
		? `<!doctype html><meta charset="utf-8"><title>${status}</title><h1>${status} ${STATUS_CODES[status] ?? ""}</h1><p>${escaped(message)}</p>`
		: JSON.stringify({ error: code, message, retryable: retryable.has(status) });
	const length = Buffer.byteLength(body);
	return (
		`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? "Refused"}\r\n` +
		`Content-Type: ${page ? "text/html; charset=utf-8" : "application/json"}\r\nContent-Length: ${length}\r\n` +
		"Cache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\nReferrer-Policy: no-referrer\r\n" +
		"Content-Security-Policy: default-src 'none'; frame-ancestors 'none'\r\n" +
		(status === 401 ? 'WWW-Authenticate: Backbone realm="warren"\r\n' : "") +
		(retryAfterMs > 0 ? `Retry-After: ${Math.max(1, Math.ceil(retryAfterMs / 1000))}\r\n` : "") +
		(keepAlive ? "\r\n" : "Connection: close\r\n\r\n") +
		(head?.method === "HEAD" ? "" : body)
	);
}

function escaped(text: string): string {
	return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
