import type { IncomingHttpHeaders } from "node:http2";
import { fieldValue, hasBadBytes, isToken } from "../../protocol/head-bytes.ts";

/** Of one hop of HTTP/1.1: in HTTP/2 they make a message malformed (RFC 9113 §8.2.2). */
const ofOneHop: ReadonlySet<string> = new Set([
	"connection",
	"keep-alive",
	"proxy-connection",
	"transfer-encoding",
	"upgrade",
]);
/** Their requests have a body nearly always, so servers want to be told that this one has none. */
const usuallyWithBody: ReadonlySet<string> = new Set(["POST", "PUT", "PATCH"]);

/**
 * A request of HTTP/2 as the head that it would have had in HTTP/1.1, so that one set of rules judges both. Nothing that
 * could end a line or begin another one gets into it.
 * @param raw names and values in turn, as they came. @returns null when it cannot be said.
 */
export function headText(raw: readonly string[], endsAfterHead: boolean): string | null {
	const pseudo = new Map<string, string>();
	let lines = "";
	let host: string | null = null;
	let length: string | null = null;
	let announcesTrailers = false;
	for (let at = 0; at + 1 < raw.length; at += 2) {
		const name = (raw[at] as string).toLowerCase();
		const value = raw[at + 1] as string;
		if (!isFieldValue(value)) return null;
		if (name.startsWith(":")) {
			if (pseudo.has(name)) return null;
			pseudo.set(name, value);
			continue;
		}
		if (!isToken(name) || ofOneHop.has(name)) return null;
		if (name === "host") {
			if (host !== null) return null;
			host = value;
		} else if (name === "content-length") {
			if (length !== null || !/^\d{1,15}$/.test(value)) return null;
			length = value;
		} else {
			announcesTrailers ||= name === "trailer";
			lines += `${name}: ${value}\r\n`;
		}
	}
	const method = pseudo.get(":method") ?? "";
	const target = pseudo.get(":path") ?? "";
	const authority = pseudo.get(":authority") ?? host ?? "";
	if (/[ \t]/.test(method + target + authority)) return null;
	if (endsAfterHead && length !== null && Number(length) !== 0) return null;
	const framing = endsAfterHead
		? length !== null || usuallyWithBody.has(method)
			? "content-length: 0\r\n"
			: ""
		: length !== null && !announcesTrailers
			? `content-length: ${length}\r\n`
			: "transfer-encoding: chunked\r\n";
	return `${method} ${target} HTTP/1.1\r\nhost: ${authority}\r\n${lines}${framing}\r\n`;
}

/** Lines of HTTP/1.1 as fields of HTTP/2. What is said several times becomes a list; Set-Cookie, which has none, an array. */
export function fieldsOf(lines: string): IncomingHttpHeaders {
	// Without what every object has: "constructor" is a name like others.
	const fields: IncomingHttpHeaders = Object.create(null);
	for (const line of lines.split("\r\n")) {
		const colon = line.indexOf(":");
		if (colon <= 0) continue;
		const name = line.slice(0, colon).toLowerCase();
		const value = fieldValue(line, colon + 1, line.length);
		if (name === "set-cookie") (fields["set-cookie"] ??= []).push(value);
		else fields[name] = fields[name] === undefined ? value : `${fields[name]}, ${value}`;
	}
	return fields;
}

/** Fields of HTTP/2 as lines of HTTP/1.1, each with its CRLF. @returns null when one of them cannot be said. */
export function linesOfFields(fields: IncomingHttpHeaders): string | null {
	let lines = "";
	for (const [name, value] of Object.entries(fields)) {
		if (name.startsWith(":")) continue;
		for (const each of Array.isArray(value) ? value : [value ?? ""]) {
			if (!isToken(name) || !isFieldValue(each)) return null;
			lines += `${name}: ${each}\r\n`;
		}
	}
	return lines;
}

function isFieldValue(value: string): boolean {
	return !hasBadBytes(value) && !value.includes("\r");
}
