import { describe, expect, it } from "vitest";
import { notHttp1, parseResponseHead } from "./response-head.ts";

const parse = (text: string, method = "GET") => parseResponseHead(text.replaceAll("\n", "\r\n"), method);

describe("an answer's head", () => {
	it("is passed on without what ends at this hop", () => {
		expect(parse("HTTP/1.1 200 OK\nDate: x\nConnection: keep-alive\nKeep-Alive: 5\nContent-Length: 5\n\n")).toEqual({
			status: 200,
			statusLine: "200 OK",
			kept: "Date: x\r\nContent-Length: 5\r\n",
			body: { kind: "length", bytes: 5 },
			reusable: true,
			webSocketAccept: null,
		});
	});

	it.each([
		"HTTP/1.1 1e2 x",
		"HTTP/1.1 20 x",
		"HTTP/1.1 099 x",
		"HTTP/1.1 600 x",
		"HTTP/1.1 2000 x",
		"HTTP/2 200 x",
		"",
	])("is none with the first line %j", (line) => expect(parse(`${line}\nContent-Length: 0\n\n`)).toBe(notHttp1));

	it.each([
		["Content-Length: 5\nContent-Length: 6", /two Content-Lengths/],
		["Content-Length: \u00a05", /not one number/],
		["Transfer-Encoding: chunked\u00a0", /Transfer-Encoding is/],
		["Transfer-Encoding: chunked\nContent-Length: 5", /both/],
		["A: \0", /control byte/],
		["A: b\n c", /folded/],
		["A", /without a colon/],
		["A : b", /not a token/],
		["a: b\n".repeat(201).trimEnd(), /more than 200/],
		["Connection: a b", /Connection options/],
		[`Connection: ${Array.from({ length: 201 }, (_, index) => `x-${index}`).join(",")}`, /names more than 200/],
	])("is refused with %j", (lines, why) => {
		expect(parse(`HTTP/1.1 200 OK\n${lines}\n\n`)).toMatch(why);
	});

	it("loses the fields that its Connection names, and never what says where it ends", () => {
		const head = parse(
			"HTTP/1.1 200 OK\nConnection: X-Hop, keep-alive, content-length\nX-Hop: 1\nX-Kept: 2\nContent-Length: 5\n\n",
		);
		expect(head).toMatchObject({ kept: "X-Kept: 2\r\nContent-Length: 5\r\n", body: { kind: "length", bytes: 5 } });
	});

	it.each([
		["close", false],
		["Close", false],
		["keep-alive, close", false],
		["x", true],
	])("with Connection: %s tells whether its connection serves again", (connection, reusable) => {
		expect(parse(`HTTP/1.1 200 OK\nConnection: ${connection}\nContent-Length: 5\n\n`)).toMatchObject({ reusable });
	});
});
