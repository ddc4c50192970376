import { describe, expect, it } from "vitest";
import type { Method, Route } from "./route.ts";
import { Router } from "./router.ts";

const route = (method: Method | "WS", path: string, owner = "node"): Route =>
	method === "WS"
		? { owner, method, path, credentials: ["none"], open() {} }
		: { owner, method, path, credentials: ["none"], handle: () => new Response() };

const router = new Router([
	route("GET", "/"),
	route("ALL", "/r/:peer/api/*"),
	route("WS", "/r/:peer/ws/*"),
	route("GET", "/api/peers/:peer"),
	route("DELETE", "/api/peers/:peer"),
	route("GET", "/api/peers/self"),
	route("GET", "/api/*"),
	route("WS", "/ws/:session"),
]);

const found = (method: string, path: string) => {
	const match = router.match(method, path);
	return match.found === "route" ? [match.route.path, match.params] : match.found;
};

describe("the router", () => {
	it("refuses two owners of one path, whatever its parameters are called", () => {
		expect(() => new Router([route("GET", "/a/:x", "node"), route("GET", "/a/:y", "hub")])).toThrow(
			"two routes claim GET /a/:y: node and hub",
		);
		expect(() => new Router([route("GET", "/a/:x"), route("POST", "/a/:x"), route("WS", "/a/:x")])).not.toThrow();
	});

	it.each([
		["GET", "/", ["/", {}]],
		["GET", "/api/peers/self", ["/api/peers/self", {}]],
		["GET", "/api/peers/bob", ["/api/peers/:peer", { peer: "bob" }]],
		["HEAD", "/api/peers/bob", ["/api/peers/:peer", { peer: "bob" }]],
		["GET", "/api/else/where", ["/api/*", { rest: "else/where" }]],
		["GET", "/api/", ["/api/*", { rest: "" }]],
		["GET", "/api", "nothing"],
		["GET", "/api/peers/", ["/api/*", { rest: "peers/" }]],
		["POST", "/api/peers/bob", "method"],
		["POST", "/nowhere", "nothing"],
		["WS", "/ws/main", ["/ws/:session", { session: "main" }]],
		["GET", "/ws/main", "method"],
		["WS", "/api/peers/bob", "method"],
		["PATCH", "/r/b/api/x/y", ["/r/:peer/api/*", { peer: "b", rest: "x/y" }]],
		["WS", "/r/b/ws/x", ["/r/:peer/ws/*", { peer: "b", rest: "x" }]],
	])("%s %s", (method, path, expected) => {
		expect(found(method, path)).toEqual(expected);
	});

	it("names the methods that a path takes", () => {
		expect(router.match("PUT", "/api/peers/bob")).toEqual({ found: "method", allowed: ["GET", "DELETE"] });
	});

	it("keeps an encoded slash inside its segment, and a relayed rest undecoded", () => {
		expect(found("GET", "/api/peers/a%2Fb")).toEqual(["/api/peers/:peer", { peer: "a/b" }]);
		expect(found("GET", "/api/peers/%C3%A9")).toEqual(["/api/peers/:peer", { peer: "é" }]);
		expect(found("GET", "/r/b/api/x%2Fy%20z")).toEqual(["/r/:peer/api/*", { peer: "b", rest: "x%2Fy%20z" }]);
	});

	it.each([
		"/api/./peers",
		"/api/../peers",
		"/api/%2e%2e/peers",
		"/api/.%2E/peers",
		"/r/b/api/..%2f..%2fadmin",
		"/r/b/api/x%5c..%5cadmin",
		"/api/%00",
		"/api/a%00b",
		"/api/%zz",
		"/api/%",
		"/api/%ff",
		"/api\\peers",
		"/api/a b",
		"/api/a\tb",
		"api/peers",
		"*",
		"https://elsewhere/api",
		"",
	])("refuses the path %j before any route is asked", (path) => {
		expect(found("GET", path)).toBe("bad-path");
	});
});
