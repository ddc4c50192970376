import { describe, expect, it } from "vitest";
import { bob, TestAi } from "../ai.testing.ts";
import { ProviderOrigins, readOrigins } from "./origins.ts";
import { queryWithoutKey } from "./provider-path.ts";
import { providers } from "./provider-table.ts";

const origins = (ollamaHost: string | undefined, cloud = false) =>
	new ProviderOrigins({ overrides: {}, ollamaHost, cloud });

describe("origins", () => {
	it("are the vendors' own unless an administrator says otherwise", () => {
		const overrides = readOrigins({ WARREN_OPENAI_ORIGIN: "https://gateway.example:8443/" });
		const set = new ProviderOrigins({ overrides, ollamaHost: undefined, cloud: false });
		expect(set.of(providers.openai)).toBe("https://gateway.example:8443");
		expect(set.of(providers.anthropic)).toBe("https://api.anthropic.com");
	});

	it("refuse what is no origin, and a key in the clear across networks", () => {
		for (const bad of ["gateway", "ftp://a.example", "https://a.example/v1", "https://user:p@a.example"])
			expect(() => readOrigins({ WARREN_OPENAI_ORIGIN: bad }), bad).toThrow(/WARREN_OPENAI_ORIGIN/);
		expect(() => readOrigins({ WARREN_OPENAI_ORIGIN: "http://a.example" })).toThrow(/in the clear/);
		for (const good of ["http://127.0.0.1:9", "http://192.168.1.2", "http://box.internal", "http://[fd00::1]:80"])
			expect(Object.keys(readOrigins({ WARREN_OPENAI_ORIGIN: good })), good).toEqual(["openai"]);
	});

	it("of Ollama: unset is its own place, empty is none, and its short forms are understood", () => {
		const table: [string | undefined, object][] = [
			[undefined, { kind: "at", origin: "http://localhost:11434" }],
			["", { kind: "not-configured" }],
			["192.168.1.20", { kind: "at", origin: "http://192.168.1.20:11434" }],
			["box:8080", { kind: "at", origin: "http://box:8080" }],
			["https://ollama.example", { kind: "at", origin: "https://ollama.example" }],
			["0.0.0.0", { kind: "at", origin: "http://localhost:11434" }],
		];
		for (const [host, expected] of table) expect(origins(host).ollama, String(host)).toEqual(expected);
		expect(origins("box", true).ollama).toEqual({ kind: "cloud" });
		expect(() => origins("http://a/b?c").of(providers.ollama)).toThrow(/no address/);
	});

	it("of Ollama are an administrator's to set, and nobody else's", async () => {
		await using hub = await TestAi.open();
		const set = (host: unknown, token?: string) =>
			hub.call(
				"PUT",
				"/api/settings/ollama-host",
				{ host },
				token === undefined ? {} : { authorization: `Bearer ${token}` },
			);
		expect((await set("http://10.0.0.9:11434", bob)).body.error).toBe("admin_only");
		expect((await set("ftp://x")).body.error).toBe("bad_setting");
		expect((await set("http://10.0.0.9:11434")).body).toEqual({
			ollama: { kind: "at", origin: "http://10.0.0.9:11434" },
		});
		expect((await set(7)).status).toBe(400);
	});
});

describe("queryWithoutKey", () => {
	it("takes the credential out and leaves the rest as it was, to the byte", () => {
		const table: [string, string][] = [
			["/a", ""],
			["/a?", ""],
			["/a?alt=sse", "?alt=sse"],
			["/a?key=t", ""],
			["/a?b=%20x&key=t&c=+", "?b=%20x&c=+"],
			["/a?%6bey=t&monkey=1", "?monkey=1"],
			["/a?key&x=1", "?x=1"],
		];
		for (const [target, expected] of table) expect(queryWithoutKey(target), target).toBe(expected);
	});
});
