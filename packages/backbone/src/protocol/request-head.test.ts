import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { headLimits, parseRequestHead } from "./request-head.ts";

const parse = (text: string) => parseRequestHead(text.replaceAll("\n", "\r\n"));
const statusOf = (text: string) => {
	const head = parseRequestHead(text);
	return "refused" in head ? head.status : 200;
};

describe("a request's head", () => {
	it("H1: keeps end-to-end fields byte for byte, in their order", () => {
		const head = parse(
			"GET /a?b HTTP/1.1\nHost: x\nAccept:  */* \nX-One: 1\nx-one: 2\nKeep-Alive: 5\nTE: trailers\n\n",
		);
		expect(head).toMatchObject({ kept: "Accept:  */* \r\nX-One: 1\r\nx-one: 2\r\n", host: "x", target: "/a?b" });
	});

	it.each<[string, number]>([
		["GET / HTTP/1.1\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\nHost: a\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost : a\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\n folded: b\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\nX: a\rb\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\nX: a\nY: b\r\n\r\n", 400],
		["GET / HTTP/1.1\nHost: a\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\nX: a\0b\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\n: empty\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\nX\x0b: b\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1, 1\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0x1\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: -1\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\u00a01\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\u00a0\r\n\r\n", 501],
		["GET / HTTP/1.1\r\nHost: a\r\nConnection:\u00a0close\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 99999999999999999999\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked, identity\r\n\r\n", 501],
		["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", 501],
		["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: \x0bchunked\r\n\r\n", 400],
		["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\n\r\n", 501],
		["POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n", 400],
		["POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n", 400],
		["GET http://b/ HTTP/1.1\r\nHost: a\r\n\r\n", 400],
		["GET http://a@b/ HTTP/1.1\r\nHost: b\r\n\r\n", 400],
		["GET http://a/x HTTP/1.1\r\nHost: a\r\n\r\n", 200],
		["GET a/x HTTP/1.1\r\nHost: a\r\n\r\n", 400],
		["GET * HTTP/1.1\r\nHost: a\r\n\r\n", 400],
		["OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n", 200],
		["CONNECT a:1 HTTP/1.1\r\nHost: a:1\r\n\r\n", 405],
		["GET /#x HTTP/1.1\r\nHost: a\r\n\r\n", 400],
		["GET /\xe4 HTTP/1.1\r\nHost: a\r\n\r\n", 400],
		["GET  / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
		["GET / HTTP/1.1 \r\nHost: a\r\n\r\n", 400],
		["GET /\tHTTP/1.1\r\nHost: a\r\n\r\n", 400],
		["GET / HTTP/2.0\r\nHost: a\r\n\r\n", 505],
		["GET / http/1.1\r\nHost: a\r\n\r\n", 400],
		["G\x00T / HTTP/1.1\r\nHost: a\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\nConnection: content-length\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\nConnection: transfer-encoding\r\n\r\n", 400],
		["GET / HTTP/1.1\r\nHost: a\r\nx-backbone-principal: a\r\nX-Backbone-Principal: b\r\n\r\n", 401],
	])("H2: %j is %i", (text, status) => {
		expect(statusOf(text)).toBe(status);
	});

	it("H3: takes its limits exactly, and not one more", () => {
		const many = (count: number) => `GET / HTTP/1.1\r\nHost: a\r\n${"x: y\r\n".repeat(count - 1)}\r\n`;
		expect(statusOf(many(headLimits.maxHeaders))).toBe(200);
		expect(statusOf(many(headLimits.maxHeaders + 1))).toBe(431);
		const long = (length: number) => `GET /${"a".repeat(length - 1)} HTTP/1.1\r\nHost: a\r\n\r\n`;
		expect(statusOf(long(headLimits.maxTargetBytes))).toBe(200);
		expect(statusOf(long(headLimits.maxTargetBytes + 1))).toBe(414);
	});

	it("H4: an upgrade to anything but WebSocket is not passed on", () => {
		const head = parse(
			"GET / HTTP/1.1\nHost: a\nConnection: Upgrade, HTTP2-Settings\nUpgrade: h2c\nHTTP2-Settings: AAA\n\n",
		);
		expect(head).toMatchObject({ kept: "", webSocketKey: null, upgradeTo: "h2c" });
	});

	it("I4: the fields that Connection names end here, as many as a head may have", () => {
		const named = (count: number) => {
			const names = Array.from({ length: count - 1 }, (_, index) => `x-${index}`);
			const lines = names.slice(0, 90).map((name) => `${name.toUpperCase()}: y\r\n`);
			return `GET / HTTP/1.1\r\nHost: a\r\nConnection: close, ${names.join(",")}\r\n${lines.join("")}X-Kept: 1\r\n\r\n`;
		};
		expect(parseRequestHead(named(headLimits.maxHeaders))).toMatchObject({ kept: "X-Kept: 1\r\n", keepAlive: false });
		expect(statusOf(named(headLimits.maxHeaders + 1))).toBe(431);
	});

	it("I4: what Connection says of itself takes no field away, and its list may be of several lines", () => {
		const head = parse(
			"GET / HTTP/1.1\nHost: a\nConnection: X-One, , Keep-Alive\nClose: 1\nX-ONE: 1\nX-Two: 2\nconnection: x-two\n\n",
		);
		expect(head).toMatchObject({ kept: "Close: 1\r\n", keepAlive: true });
	});

	it("H5: never throws, and never keeps a line of ours, whatever the bytes", () => {
		const name = fc.constantFrom(
			"x-mosb-sub",
			"X_MOSB_SUB",
			"X~Mosb^Sub",
			"x.mosb-name",
			"Host",
			"Content-Length",
			"TE",
			"x",
			"Connection",
		);
		const line = fc.tuple(
			name,
			fc.constantFrom(": ", ":", " : ", ":\t"),
			fc.string({ unit: "binary-ascii" }),
			fc.constantFrom("\r\n", "\n", "\r"),
		);
		let seen = 0;
		fc.assert(
			fc.property(fc.array(line, { maxLength: 8 }), (lines) => {
				seen += 1;
				const head = parseRequestHead(`GET / HTTP/1.1\r\nHost: a\r\n${lines.flat().join("")}\r\n`);
				if (!("refused" in head)) expect(head.kept).not.toMatch(/^x[^a-z0-9]mosb/im);
			}),
			{ numRuns: 2000 },
		);
		expect(seen).toBeGreaterThan(1000);
	});
});
