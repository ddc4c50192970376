import type { IncomingHttpHeaders } from "node:http";
import { describe, expect, it } from "vitest";
import { parseCredential, readCookie, tokensElsewhere } from "./credentials.ts";

const basic = (text: string) => `Basic ${Buffer.from(text).toString("base64")}`;
const malformed = expect.objectContaining({ scheme: "malformed" });
const cookie = "__Host-warren-1";

const table: [string, IncomingHttpHeaders, boolean, unknown][] = [
	["nothing", {}, false, null],
	["Basic", { authorization: basic("ada:l:ove") }, false, { scheme: "basic", user: "ada", password: "l:ove" }],
	[
		"Basic in any case",
		{ authorization: basic("a:b").replace("Basic", "bAsIc") },
		false,
		expect.objectContaining({ user: "a" }),
	],
	["Basic with an empty PIN", { authorization: basic("ada:") }, false, { scheme: "basic", user: "ada", password: "" }],
	["Basic without a colon", { authorization: basic("ada") }, false, malformed],
	["Basic without a user", { authorization: basic(":pin") }, false, malformed],
	["Basic that is not base64", { authorization: "Basic a-b_c" }, false, malformed],
	["Basic of nothing", { authorization: "Basic " }, false, malformed],
	["Bearer", { authorization: "Bearer wd_x-1" }, false, { scheme: "bearer", token: "wd_x-1", from: "header" }],
	["Bearer with a space inside", { authorization: "Bearer a b" }, false, malformed],
	["Bearer of two", { authorization: "Bearer a, Bearer b" }, false, malformed],
	["an empty Authorization", { authorization: "" }, false, malformed],
	["another scheme", { authorization: "Negotiate abc" }, false, malformed],
	["an Authorization that is too long", { authorization: `Bearer ${"a".repeat(9000)}` }, false, malformed],
	["setup", { "x-warren-setup": "s" }, false, { scheme: "setup", secret: "s" }],
	["an empty setup secret", { "x-warren-setup": "" }, false, malformed],
	["a long setup secret", { "x-warren-setup": "s".repeat(257) }, false, malformed],
	["two credentials at once", { authorization: "Bearer a", "x-warren-setup": "s" }, false, malformed],
	[
		"a token as subprotocol",
		{ "sec-websocket-protocol": "warren.v1, bearer.tok" },
		true,
		{ scheme: "bearer", token: "tok", from: "subprotocol" },
	],
	["a ticket", { "sec-websocket-protocol": "warren.v1,ticket.t" }, true, { scheme: "ws-ticket", ticket: "t" }],
	["a subprotocol without an upgrade", { "sec-websocket-protocol": "warren.v1, bearer.tok" }, false, null],
	["only the protocol's name", { "sec-websocket-protocol": "warren.v1" }, true, null],
	["two tokens as subprotocols", { "sec-websocket-protocol": "bearer.a, ticket.b" }, true, malformed],
	["an empty ticket", { "sec-websocket-protocol": "warren.v1, ticket." }, true, malformed],
	[
		"header and subprotocol",
		{ authorization: "Bearer a", "sec-websocket-protocol": "warren.v1, bearer.a" },
		true,
		malformed,
	],
	["a cookie", { cookie: `x=1; ${cookie}=tok; y=2` }, false, { scheme: "bearer", token: "tok", from: "cookie" }],
	["a cookie twice", { cookie: `${cookie}=a; ${cookie}=b` }, false, null],
	["another install's cookie", { cookie: "__Host-warren-2=a" }, false, null],
	[
		"a header beside the cookie",
		{ cookie: `${cookie}=c`, authorization: "Bearer h" },
		false,
		{ scheme: "bearer", token: "h", from: "header" },
	],
	["a malformed header beside a good cookie", { cookie: `${cookie}=c`, authorization: "Bearer" }, false, malformed],
];

describe("parseCredential", () => {
	it.each(table)("%s", (_name, headers, upgrade, expected) => {
		expect(parseCredential(headers, upgrade, cookie)).toEqual(expected);
	});

	it("never repeats the secret in what it says about a malformed one", () => {
		for (const [, headers, upgrade] of table) {
			const parsed = parseCredential(headers, upgrade, null);
			if (parsed?.scheme === "malformed") expect(parsed.reason).not.toMatch(/a-b_c|aaaa|ssss/);
		}
	});

	it("takes a token from the places of a route, once, and never chooses between two", () => {
		const places = { headers: ["x-api-key", "x-goog-api-key"], query: "key" };
		const parse = (headers: Record<string, string>, query = "") =>
			parseCredential(headers, false, cookie, tokensElsewhere(places, headers, new URLSearchParams(query)));
		const token = { scheme: "bearer", token: "t", from: "header" };
		expect(parse({ "x-api-key": "t" })).toEqual(token);
		expect(parse({ "x-goog-api-key": "t" })).toEqual(token);
		expect(parse({}, "key=t")).toEqual(token);
		expect(parse({ authorization: "Bearer t", "x-api-key": "t" }, "key=t")).toEqual(token);
		expect(parse({ authorization: "Bearer t", "x-api-key": "u" })).toMatchObject({ scheme: "malformed" });
		expect(parse({}, "key=t&key=u")).toMatchObject({ scheme: "malformed" });
		expect(parse({ "x-api-key": "t, t" })).toMatchObject({ scheme: "malformed" });
		expect(parse({ "x-api-key": "" })).toMatchObject({ scheme: "malformed" });
		expect(tokensElsewhere(undefined, { "x-api-key": "t" }, new URLSearchParams("key=t"))).toEqual([]);
	});

	it("takes no cookie where cookies are no credential", () => {
		expect(parseCredential({ cookie: `${cookie}=tok` }, false, null)).toBeNull();
		expect(readCookie(`x${cookie}=a`, cookie)).toBeNull();
	});
});
