import { describe, expect, it } from "vitest";
import { parseRequestHead } from "../../protocol/request-head.ts";
import { fieldsOf, headText, linesOfFields } from "./head-lines.ts";

const pseudo = [":method", "POST", ":scheme", "https", ":path", "/a?b", ":authority", "web.test"];
const said = (...more: string[]) => headText([...pseudo, ...more], false);

describe("P2: a head of HTTP/2 as one of HTTP/1.1", () => {
	it("is judged by the same rules, and framed by us alone", () => {
		const text = said("accept", "*/*", "x-backbone-principal", "one", "cookie", "a", "cookie", "b") as string;
		expect(text.startsWith("POST /a?b HTTP/1.1\r\nhost: web.test\r\n")).toBe(true);
		expect(parseRequestHead(text)).toMatchObject({
			method: "POST",
			host: "web.test",
			credential: "one",
			cookie: "a; b",
			body: { kind: "chunked" },
		});
		expect(
			parseRequestHead(said("x-backbone-principal", "one", "x-backbone-principal", "two") as string),
		).toMatchObject({
			refused: true,
			status: 401,
		});
		expect(parseRequestHead(said("content-length", "7") as string)).toMatchObject({
			body: { kind: "length", bytes: 7 },
		});
		expect(parseRequestHead(said("content-length", "7", "trailer", "x-sum") as string)).toMatchObject({
			body: { kind: "chunked" },
		});
		expect(parseRequestHead(headText(pseudo, true) as string)).toMatchObject({ body: { kind: "none" } });
	});

	it.each([
		["a line end in a value", said("x", "a\r\nhost: other")],
		["a bare one", said("x", "a\nb")],
		["a NUL", said("x", "a\0b")],
		["a line end in a name", said("x\r\ny", "1")],
		["a colon in a name", said("x:y", "1")],
		["a space in a name", said("x y", "1")],
		["transfer-encoding", said("transfer-encoding", "chunked")],
		["connection", said("connection", "x-mosb-sub")],
		["two hosts", said("host", "a", "host", "b")],
		["two lengths", said("content-length", "1", "content-length", "1")],
		["a list of lengths", said("content-length", "1, 1")],
		["a length that ends before it", headText([...pseudo, "content-length", "1"], true)],
		["two paths", headText([...pseudo, ":path", "/b"], true)],
		["a space in the path", headText([":method", "GET", ":path", "/ HTTP/1.1", ":authority", "a"], true)],
		["a line end in the method", headText([":method", "GET\r\nX", ":path", "/", ":authority", "a"], true)],
		["a line end in the authority", headText([":method", "GET", ":path", "/", ":authority", "a\r\nb: c"], true)],
	])("with %s is none", (_what, text) => expect(text).toBe(null));

	it("lines become fields and fields lines; what cannot be said is refused", () => {
		const fields = fieldsOf("X-A: 1\r\nx-a: 2\r\nSet-Cookie: a\r\nset-cookie: b\r\n");
		expect(fields).toEqual({ "x-a": "1, 2", "set-cookie": ["a", "b"] });
		expect(linesOfFields({ ...fields, ":status": "200" })).toBe("x-a: 1, 2\r\nset-cookie: a\r\nset-cookie: b\r\n");
		expect(Object.entries(fieldsOf("Constructor: 1\r\n__proto__: 2\r\n"))).toEqual([
			["constructor", "1"],
			["__proto__", "2"],
		]);
		expect(linesOfFields({ x: "a\r\ny: b" })).toBe(null);
		expect(linesOfFields({ "x y": "a" })).toBe(null);
	});
});
