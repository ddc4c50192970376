import type { Span } from "@warren/kernel";
import { type FieldSet, withoutFields } from "../../protocol/field-lines.ts";
import { cookieWithoutToken } from "../credentials.ts";
import type { Front } from "../front.ts";
import type { AdmittedRequest } from "./admission.ts";
import type { Arrival } from "./arrival.ts";

const traceFields: FieldSet = new Set(["traceparent"]);

/** A request's head as its service gets it: hop-by-hop is gone, ours comes last and once. */
export function forwardedHead(
	front: Front,
	arrival: Arrival,
	{ head, target, caller }: AdmittedRequest,
	span: Span | null,
): string {
	const kept =
		span === null ? head.kept : `${withoutFields(head.kept, traceFields)}traceparent: ${span.traceparent}\r\n`;
	const cookie = head.cookie === null ? "" : cookieWithoutToken(head.cookie);
	const forwardedFor =
		head.forwardedFor === null ? arrival.peer : front.forwardedFor(arrival.socket, head.forwardedFor);
	return (
		`${head.method} ${target} HTTP/1.${head.minorVersion}\r\nHost: ${head.host}\r\n${kept}` +
		(cookie === "" ? "" : `Cookie: ${cookie}\r\n`) +
		`X-Forwarded-For: ${forwardedFor}\r\nX-Forwarded-Proto: ${arrival.secure ? "https" : "http"}\r\n` +
		`X-Forwarded-Host: ${head.host}\r\n${caller.lines}` +
		(head.webSocketKey === null
			? head.minorVersion === 0
				? "Connection: close\r\n\r\n"
				: "\r\n"
			: "Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
	);
}
