import { describe, expect, it } from "vitest";
import { builtInCloudUrl } from "../version.ts";
import { cloudHub } from "./cloud-hub.ts";

describe("the cloud hub", () => {
	it("is the build's constant, or what the environment says instead; empty means none", () => {
		expect(cloudHub({})).toBe(builtInCloudUrl === "" ? null : new URL(builtInCloudUrl).origin);
		expect(cloudHub({ WARREN_CLOUD_URL: "https://hub.example/path" })).toBe("https://hub.example");
		expect(cloudHub({ WARREN_CLOUD_URL: "http://127.0.0.1:3914" })).toBe("http://127.0.0.1:3914");
		expect(cloudHub({ WARREN_CLOUD_URL: "" })).toBeNull();
	});

	it.each(["http://hub.example", "hub.example", "javascript:alert(1)", "ftp://hub.example"])("is never %s", (told) => {
		expect(() => cloudHub({ WARREN_CLOUD_URL: told })).toThrow(told);
	});
});
