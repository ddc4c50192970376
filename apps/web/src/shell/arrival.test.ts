import { expect, test } from "vitest";
import { parseFragment } from "./arrival.ts";
import { guessDeviceName } from "./device-name.ts";

test.each([
	["#setup=abc_-1", { kind: "setup", secret: "abc_-1" }],
	["#share=ws_abc", { kind: "share", token: "ws_abc" }],
	["#account=abc", { kind: "account", secret: "abc" }],
	["#pair=abc", { kind: "pair", secret: "abc" }],
	["#pair=abc&fingerprint=0123", { kind: "pair", secret: "abc" }],
	["#invitation=abc", { kind: "invitation", secret: "abc" }],
	["#device=ABCD-EFGH", { kind: "device", secret: "ABCD-EFGH" }],
	["#pair=", { kind: "pair", secret: "" }],
	["#setup=", { kind: "plain" }],
	["#main", { kind: "plain" }],
	["", { kind: "plain" }],
])("the fragment %s", (fragment, arrival) => {
	expect(parseFragment(fragment)).toEqual(arrival);
});

test.each([
	[
		"Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Version/18.0 Mobile Safari/604.1",
		"Safari on iPhone",
	],
	["Mozilla/5.0 (Linux; Android 15) AppleWebKit/537.36 Chrome/140.0 Mobile Safari/537.36", "Chrome on Android"],
	["Mozilla/5.0 (Windows NT 10.0) AppleWebKit/537.36 Chrome/140.0 Safari/537.36 Edg/140.0", "Edge on Windows"],
	["Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0", "Firefox on Linux"],
	["curl/8", "Browser"],
])("%s is called %s", (userAgent, name) => {
	expect(guessDeviceName(userAgent)).toBe(name);
});
