import { expect, test } from "vitest";
import { hubModeOf, parseHubAddress } from "./hub-mode.ts";

test("the built-in address is the cloud, every other one is somebody's own", () => {
	expect(hubModeOf("https://hub.example", "https://hub.example/")).toBe("cloud");
	expect(hubModeOf("https://atlas.local:5151", "https://hub.example")).toBe("self-hosted");
	expect(hubModeOf("https://atlas.local:5151", "")).toBe("self-hosted");
});

test("an address is taken as people type it, with the fragment of a scanned link", () => {
	expect(parseHubAddress(" atlas.local:5151 ")?.href).toBe("https://atlas.local:5151/");
	expect(parseHubAddress("https://hub.example/docs/x?y#pair=abc")?.href).toBe("https://hub.example/#pair=abc");
	expect(parseHubAddress("http://localhost:5151")?.href).toBe("http://localhost:5151/");
	expect(parseHubAddress("[fd5a:1f00::1]:5151")?.href).toBe("https://[fd5a:1f00::1]:5151/");
});

test("what is no hub's address is refused", () => {
	for (const text of [
		"",
		"   ",
		"javascript:alert(1)",
		"http://atlas.local",
		"ftp://atlas",
		"https://ada:pin@atlas",
		"https://",
		"a b",
	])
		expect(parseHubAddress(text), text).toBeNull();
});
