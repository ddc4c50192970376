import type { ServerResponse } from "node:http";
import { defineErrors, messageOf, WarrenError } from "@warren/kernel";
import { plainPageHeaders } from "./plain-page.ts";

export const httpError = defineErrors({
	bad_request: { status: 400 },
	unauthorized: { status: 401, fix: "Sign in again." },
	forbidden: { status: 403 },
	bad_origin: { status: 403, fix: "Open the page from this server's own address." },
	not_found: { status: 404, fix: "What there is stands at /openapi.json." },
	method_not_allowed: { status: 405 },
	body_too_large: { status: 413 },
	not_json: { status: 415, fix: "Send JSON with content-type: application/json." },
	wrong_host: { status: 421, fix: "Use a name that this server knows, or add it with --hostname NAME." },
	rate_limited: { status: 429, retryable: true, fix: "Wait a little, then try again: Retry-After says how long." },
	internal: { status: 500, fix: "The log has the cause." },
	unavailable: { status: 503, retryable: true },
	disk_full: { status: 507, retryable: true, fix: "Free some disk space there, then try again." },
});

/** Of the system: no space, and none within the quota. */
const fullCodes = new Set<unknown>(["ENOSPC", "EDQUOT"]);

/** Headers of every answer that is data: never a document, never kept, never guessed at. */
export const dataHeaders: Readonly<Record<string, string>> = {
	"cache-control": "no-store",
	"content-security-policy": "default-src 'none'; frame-ancestors 'none'",
	"cross-origin-resource-policy": "same-origin",
	"referrer-policy": "no-referrer",
	"x-content-type-options": "nosniff",
};

/** Anything thrown, as something that may be shown: a fault's own message stays in the log. */
export function asWarrenError(thrown: unknown): WarrenError {
	if (thrown instanceof WarrenError) return thrown;
	return fullCodes.has((thrown as { code?: unknown } | null)?.code)
		? httpError("disk_full", "The disk of this machine is full: nothing was written.", { cause: thrown })
		: httpError("internal", "Something went wrong inside the server.", { cause: thrown });
}

/** @param page for a person, instead of JSON. */
export function errorResponse(
	error: WarrenError,
	headers: Readonly<Record<string, string>> = {},
	page: string | null = null,
): Response {
	if (page !== null)
		return new Response(page, {
			status: error.status,
			headers: { ...errorHeaders(error), ...headers, ...plainPageHeaders },
		});
	return Response.json(error.toBody(), {
		status: error.status,
		headers: { ...dataHeaders, ...errorHeaders(error), ...headers },
	});
}

/**
 * Writes an error on Node's own response; destroys it when the head is already out, so that no clean end is faked.
 * @param page for a person, instead of JSON.
 */
export function writeError(
	outgoing: ServerResponse,
	error: WarrenError,
	headers: Readonly<Record<string, string>> = {},
	page: string | null = null,
): void {
	if (outgoing.headersSent) {
		outgoing.destroy();
		return;
	}
	const body = page ?? JSON.stringify(error.toBody());
	outgoing.writeHead(error.status, {
		...(page === null ? { ...dataHeaders, "content-type": "application/json" } : plainPageHeaders),
		...errorHeaders(error),
		...headers,
		"content-length": Buffer.byteLength(body),
	});
	outgoing.end(body);
}

function errorHeaders(error: WarrenError): Record<string, string> {
	const headers: Record<string, string> = {};
	if (error.status === 401) {
		headers["www-authenticate"] = 'Bearer realm="warren"';
		headers["x-warren-auth"] = "node";
	}
	const allowed = error.details["allowed"];
	if (error.status === 405 && Array.isArray(allowed)) headers["allow"] = allowed.join(", ");
	const retryAfterMs = error.details["retryAfterMs"];
	if (typeof retryAfterMs === "number") headers["retry-after"] = String(Math.max(1, Math.ceil(retryAfterMs / 1000)));
	return headers;
}

/** For logs: the message and the chain of causes, one line. */
export function faultLine(thrown: unknown): string {
	const lines = [messageOf(thrown)];
	for (
		let at = thrown instanceof Error ? thrown.cause : undefined;
		at !== undefined && lines.length < 5;
		at = at instanceof Error ? at.cause : undefined
	) {
		lines.push(messageOf(at));
	}
	return lines.join(" ← ");
}

/** What an authenticator's no becomes. */
export function refusal(verdict: {
	reason: "invalid" | "expired" | "forbidden" | "limited" | "unavailable";
	message: string;
	retryAfterMs?: number;
}): WarrenError {
	const details = verdict.retryAfterMs === undefined ? {} : { retryAfterMs: verdict.retryAfterMs };
	switch (verdict.reason) {
		case "invalid":
		case "expired":
			return httpError("unauthorized", verdict.message);
		case "forbidden":
			return httpError("forbidden", verdict.message);
		case "limited":
			return httpError("rate_limited", verdict.message, { details });
		case "unavailable":
			return httpError("unavailable", verdict.message, { details });
	}
}
